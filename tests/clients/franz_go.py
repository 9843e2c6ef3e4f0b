"""franz-go's tests of its client."""

import re

from go_suite import GoSuite

# Of the package's tests those that talk to a broker; the others are the client's own business.
FILES = ("client_test.go", "consumer_test.go", "group_test.go", "produce_request_test.go", "share_test.go",
         "txn_test.go")


class FranzGo(GoSuite):
    name = "franz-go"
    title = "franz-go"
    source = "Go module `github.com/twmb/franz-go`, package `kgo`"
    module = "github.com/twmb/franz-go"
    version = "v1.22.3"
    package = "github.com/twmb/franz-go/pkg/kgo"
    go = "1.26.0"
    records = 100_000  # that its groups pass on; its default of half a million is for a machine of its own

    def tests(self):
        folder = self.source_folder()
        names = []
        for file in FILES:
            with open(f"{folder}/{file}", encoding="utf-8") as text:
                names += re.findall(r"^func (Test\w+)\(", text.read(), re.M)
        return names

    def environment(self, nodes):
        return {"KGO_SEEDS": nodes.addresses, "KGO_TEST_RF": str(len(nodes.nodes)), "KGO_LOG_LEVEL": "none",
                "KGO_TEST_RECORDS": str(self.records)}
