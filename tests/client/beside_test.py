"""The operations of `make beside-kafka`, against Chronik alone: what differs from the answers that Kafka gave when it
was last run has its reason in tests/beside/differences.txt."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "beside"))
import answers  # noqa: E402 (of the folder beside this one)
import descriptions  # noqa: E402
import differences  # noqa: E402
import records  # noqa: E402
import run  # noqa: E402
import summary  # noqa: E402
import wire  # noqa: E402

RECORDED = run.KAFKA.read_text(encoding="utf-8")


class Operations(unittest.TestCase):
    def test_are_answered_as_by_kafka_or_there_is_a_reason(self):
        kafka = answers.read(RECORDED)
        self.assertGreater(len(kafka), 700)
        self.assertEqual([], differences.explain(differences.between(kafka, run.run_chronik()),
                                                 differences.explanations()))

    def test_are_in_the_documents_where_they_differ(self):
        _, table, _ = summary.parts_of_document()
        self.assertEqual(f"\n{summary.table(differences.explanations())}\n", table, "tests/beside/run.py --recorded")


def step(name, **fields):
    return answers.Step(name, "Metadata 12", {"": {"ErrorCode": "NONE", **fields}, "Topics[a]": {"IsInternal": False}})


class Differences(unittest.TestCase):
    def found(self, kafka, chronik):
        return [(one.operation, one.field) for one in differences.between(kafka, chronik)]

    def test_are_found_in_fields_structs_and_operations(self):
        kafka = [step("one", ErrorMessage=None, Extra=1), step("two"), step("three")]
        chronik = [step("one", ErrorMessage="(a text)"), step("two"), step("four")]
        chronik[1].structs["Topics[b]"] = {}
        chronik[1].structs["Topics[b].Partitions[0]"] = {}
        self.assertEqual([("one", "ErrorMessage alone"), ("one", "Extra"), ("two", "Topics[b]"), ("three", ""),
                          ("four", "")], self.found(kafka, chronik))
        self.assertEqual([], self.found(kafka, kafka))

    def test_have_a_reason_or_are_wrong_and_so_is_a_reason_that_nothing_needs(self):
        known = differences.explanations("so it is\n  one* | Error*\n  two | *  # a remark\n")
        found = differences.between([step("one"), step("three")], [step("one", ErrorCode="X"), step("three", More=1)])
        wrong = differences.explain(found, known)
        self.assertEqual(["so it is", ""], [one.reason for one in found])
        self.assertEqual(["three | More", "two | * explains"], [one[:len("three | More")] if "three" in one else
                                                                one[:len("two | * explains")] for one in wrong])
        for text in ("  early | *", "why\n  no bar"):
            with self.assertRaises(ValueError):
                differences.explanations(text)

    def test_answers_are_read_as_they_were_written(self):
        self.assertEqual(RECORDED, answers.write(answers.read(RECORDED)))


class Messages(unittest.TestCase):
    def test_of_every_version_are_read_to_their_end(self):
        count = 0
        for message in descriptions.read().values():
            for version in range(message.versions.first, message.versions.last + 1):
                flexible = version in message.flexible
                data = wire.Writer(version, flexible).fields(message.fields, {}, message.name)
                reader = wire.Reader(data, version, flexible)
                for name, value in reader.fields(message.fields).items():
                    field = next(field for field in message.fields if field.name == name)
                    if not field.fields and field.type != "uuid" and not (field.initial() is None):
                        self.assertEqual(field.initial(), value, f"{message.name} {version} {name}")
                self.assertEqual(len(data), reader.at, f"{message.name} {version}")
                count += 1
        self.assertGreater(count, 300)

    def test_with_a_field_of_another_version_are_refused(self):
        request = descriptions.read()["MetadataRequest"]
        with self.assertRaises(ValueError):
            wire.Writer(3, False).fields(request.fields, {"AllowAutoTopicCreation": True}, "Metadata")

    def test_record_batches_are_read_as_they_were_made(self):
        self.assertEqual(0xE3069283, records.crc32c(b"123456789"))
        made = records.batch(b"a", b"b", key=b"k", time=5, base_offset=7, producer=(1, 2, 3))
        (batch,), rest = records.read(made + made[:20])
        self.assertEqual((7, 8, 5, 6, True, 20), (batch["BaseOffset"], batch["LastOffset"], batch["BaseTimestamp"],
                                                  batch["MaxTimestamp"], batch["CrcIsRight"], rest))
        self.assertEqual([(7, 5, "k", "a"), (8, 6, "k", "b")], [tuple(one.values()) for one in batch["Records"]])
        self.assertFalse(records.read(records.batch(b"a", crc_change=1))[0][0]["CrcIsRight"])


if __name__ == "__main__":
    unittest.main()
