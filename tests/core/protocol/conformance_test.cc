// Our descriptions against Kafka's message files, and the comparison itself against descriptions that are wrong.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "core/group/records.h"
#include "core/protocol/api_versions.h"
#include "core/protocol/describer.h"
#include "tests/core/protocol/conformance_check.h"

namespace chronik::protocol::conformance {
namespace {

namespace fs = std::filesystem;

// KAFKA_MESSAGES_DIR, else kafka-messages/ in a build directory at or above the working directory.
fs::path messages_directory() {
  if (const char* named = std::getenv("KAFKA_MESSAGES_DIR")) {
    return named;
  }
  for (fs::path at = fs::current_path(); !at.empty(); at = at.parent_path()) {
    for (const fs::path& candidate : {at / "kafka-messages", at / "build" / "kafka-messages"}) {
      if (fs::exists(candidate)) {
        return candidate;
      }
    }
    if (at == at.root_path()) {
      break;
    }
  }
  return {};
}

std::string read(const fs::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

TEST(Conformance, EveryDescriptionAgreesWithKafkasMessageFiles) {
  const fs::path directory = messages_directory();
  if (directory.empty()) {
    GTEST_SKIP() << "Kafka's message files are not there: run `make conformance`, or set KAFKA_MESSAGES_DIR";
  }
  std::vector<std::string> ours;
  for (const Api& api : all_apis()) {
    for (const MessageType* type : {&api.request(), &api.response()}) {
      const std::string json = read(directory / (std::string(type->traits.name) + ".json"));
      const Report report = compare(type->traits, type->describe(), json);
      EXPECT_TRUE(report.findings.empty()) << report.text();
      EXPECT_GT(report.fields_compared, 0) << type->traits.name;
      ours.insert(ours.end(), report.ours.begin(), report.ours.end());
    }
  }
  EXPECT_EQ(ours, std::vector<std::string>{
                      "FetchRequest.Topics.Partitions.DurableEnd tag 10000"});  // every tagged field that Kafka does
                                                                                // not know is listed here
}

TEST(Conformance, RecordsOfConsumerOffsetsAgreeWithKafkasFiles) {
  const fs::path directory = messages_directory();
  if (directory.empty()) {
    GTEST_SKIP() << "Kafka's message files are not there: run `make conformance`, or set KAFKA_MESSAGES_DIR";
  }
  struct Record {
    const char* name;
    std::int16_t number;  // of the kind of record, where messages have their API's key
    VersionRange versions;
    std::int16_t flexible_since;
    std::vector<FieldInfo> fields;
  };
  const VersionRange key = versions(0, 0);
  const Record all[] = {
      {"LegacyOffsetCommitKey", 0, key, kNeverFlexible, Describer::describe<group::OffsetKey>()},
      {"OffsetCommitKey", 1, key, kNeverFlexible, Describer::describe<group::OffsetKey>()},
      {"GroupMetadataKey", 2, key, kNeverFlexible, Describer::describe<group::GroupKey>()},
      {"OffsetCommitValue", 1, group::kValueVersions, group::kValueFlexibleSince,
       Describer::describe<group::OffsetValue>()},
      {"GroupMetadataValue", 2, group::kValueVersions, group::kValueFlexibleSince,
       Describer::describe<group::GroupValue>()},
  };
  for (const Record& record : all) {
    const MessageTraits traits{record.name, static_cast<ApiKey>(record.number), MessageKind::kRequest, record.versions,
                               record.flexible_since};
    const Report report = compare(traits, record.fields, read(directory / (std::string(record.name) + ".json")));
    EXPECT_TRUE(report.findings.empty()) << report.text();
    EXPECT_GT(report.fields_compared, 0) << record.name;
  }
}

TEST(Conformance, TableOfApisAgreesWithTheDescriptions) {
  for (const Api& api : all_apis()) {
    for (const MessageType* type : {&api.request(), &api.response()}) {
      const bool request = type == &api.request();
      EXPECT_EQ(type->traits.name, std::string(api.name) + (request ? "Request" : "Response"));
      EXPECT_EQ(type->traits.kind, request ? MessageKind::kRequest : MessageKind::kResponse);
      EXPECT_EQ(type->traits.api, api.key);
      EXPECT_EQ(type->traits.versions, api.implemented) << api.name;
      EXPECT_EQ(type->traits.flexible_since, api.flexible_since) << api.name;
    }
    EXPECT_LE(api.advertised.min, api.implemented.min) << api.name;
    EXPECT_EQ(api.advertised.max, api.implemented.max) << api.name;
    EXPECT_TRUE(api.advertised == api.implemented || api.key == ApiKey::kProduce) << api.name;
  }
}

// --- teeth ---

// A message in the form of Kafka's files that has one of everything.
constexpr std::string_view kSample = R"({
  // A comment, as Kafka's files have them.
  "apiKey": 1, "type": "request", "name": "SampleRequest",
  "validVersions": "0-3", "flexibleVersions": "2+",
  "fields": [
    { "name": "Id", "type": "int32", "versions": "0+", "entityType": "brokerId" },
    { "name": "Count", "type": "int32", "versions": "1+", "default": "0x10" },
    { "name": "Title", "type": "string", "versions": "0+", "nullableVersions": "1+" },
    { "name": "Old", "type": "bool", "versions": "0-1" },
    { "name": "Items", "type": "[]Item", "versions": "0+", "fields": [
      { "name": "Key", "type": "uuid", "versions": "0+" },
      { "name": "Data", "type": "records", "versions": "0+", "nullableVersions": "0+" }
    ]},
    { "name": "Place", "type": "Where", "versions": "3+" },
    { "name": "Extra", "type": "int64", "versions": "2+", "taggedVersions": "2+", "tag": 0, "default": "-1" }
  ],
  "commonStructs": [
    { "name": "Where", "versions": "3+", "fields": [ { "name": "X", "type": "int8", "versions": "3+" } ] }
  ]
})";

MessageTraits sample_traits() { return {"SampleRequest", ApiKey::kFetch, MessageKind::kRequest, versions(0, 3), 2}; }
FieldInfo plain(std::string name, std::string type, VersionRange range, std::string standard = "") {
  FieldInfo info;
  info.name = std::move(name);
  info.type = std::move(type);
  info.versions = range;
  info.nullable = {0, -1};
  info.default_value = std::move(standard);
  return info;
}
FieldInfo nullable(FieldInfo info, std::int16_t from) {
  info.nullable = since(from);
  info.default_value = "null";
  return info;
}
std::vector<FieldInfo> sample_fields() {
  std::vector<FieldInfo> fields = {plain("Id", "int32", since(0), "-1"),
                                   plain("Count", "int32", since(1), "16"),
                                   nullable(plain("Title", "string", since(0)), 1),
                                   plain("Old", "bool", versions(0, 1), "false"),
                                   plain("Items", "[]struct", since(0)),
                                   plain("Place", "struct", since(3)),
                                   plain("Extra", "int64", since(2), "-1")};
  fields[4].fields = {plain("Key", "uuid", since(0)), nullable(plain("Data", "records", since(0)), 0)};
  fields[5].fields = {plain("X", "int8", since(3), "0")};
  fields[6].tag = 0;
  return fields;
}

TEST(ConformanceTeeth, RightDescriptionHasNoFindings) {
  const Report report = compare(sample_traits(), sample_fields(), kSample);
  EXPECT_TRUE(report.findings.empty()) << report.text();
  EXPECT_EQ(report.fields_compared, 4 * 5 + 3 + 2 + 2 + 2);
}

TEST(ConformanceTeeth, EachWayToBeWrongIsReported) {
  using Fields = std::vector<FieldInfo>;
  struct Wrong {
    const char* what;
    std::function<void(MessageTraits&, Fields&)> plant;
    const char* reported;
  };
  const std::vector<Wrong> all = {
      {"api key", [](MessageTraits& t, Fields&) { t.api = ApiKey::kProduce; }, "api key differs"},
      {"kind", [](MessageTraits& t, Fields&) { t.kind = MessageKind::kResponse; }, "kind differs"},
      {"version that does not exist", [](MessageTraits& t, Fields&) { t.versions.max = 4; }, "has versions that"},
      {"flexible too early", [](MessageTraits& t, Fields&) { t.flexible_since = 1; }, "v1 : is not flexible"},
      {"flexible too late", [](MessageTraits& t, Fields&) { t.flexible_since = 3; }, "v2 : is flexible"},
      {"name", [](MessageTraits&, Fields& f) { f[0].name = "Ids"; }, "v0 Ids: stands where Kafka has Id"},
      {"order", [](MessageTraits&, Fields& f) { std::swap(f[0], f[2]); }, "v0 Title: stands where Kafka has Id"},
      {"type", [](MessageTraits&, Fields& f) { f[0].type = "int64"; }, "v0 Id: is int64, Kafka's is int32"},
      {"bytes for records", [](MessageTraits&, Fields& f) { f[4].fields[1].type = "bytes"; }, "Items.Data: is bytes"},
      {"since too early", [](MessageTraits&, Fields& f) { f[1].versions.min = 0; }, "v0 Count: stands where"},
      {"since too late", [](MessageTraits&, Fields& f) { f[1].versions.min = 2; }, "v1 Title: stands where"},
      {"kept too long", [](MessageTraits&, Fields& f) { f[3].versions = since(0); }, "v2 Old: stands where"},
      {"missing at the end", [](MessageTraits&, Fields& f) { f.erase(f.begin() + 5); }, "v3 Place: is missing"},
      {"not nullable",
       [](MessageTraits&, Fields& f) {
         f[2].nullable = {0, -1};
       },
       "v1 Title: may be null"},
      {"nullable too early", [](MessageTraits&, Fields& f) { f[2].nullable = since(0); }, "v0 Title: may not be null"},
      {"nullable too late", [](MessageTraits&, Fields& f) { f[2].nullable = since(2); }, "v1 Title: may be null"},
      {"default", [](MessageTraits&, Fields& f) { f[1].default_value = "0"; }, "Count: starts as '0', Kafka's as '16'"},
      {"tag", [](MessageTraits&, Fields& f) { f[6].tag = 1; }, "Extra: tag 1 is not in this version"},
      {"tag forgotten", [](MessageTraits&, Fields& f) { f[6].tag.reset(); }, "v2 Extra: with tag 0 is missing"},
      {"tagged too early", [](MessageTraits&, Fields& f) { f[6].versions = since(1); }, "v1 Extra: tag 0 is not in"},
      {"tagged default", [](MessageTraits&, Fields& f) { f[6].default_value = "0"; }, "Extra: starts as '0'"},
      {"within an array", [](MessageTraits&, Fields& f) { f[4].fields[0].type = "string"; }, "Items.Key: is string"},
      {"within a common struct", [](MessageTraits&, Fields& f) { f[5].fields[0].name = "Y"; }, "Place.Y: stands where"},
  };
  for (const Wrong& wrong : all) {
    MessageTraits traits = sample_traits();
    Fields fields = sample_fields();
    wrong.plant(traits, fields);
    const std::string text = compare(traits, fields, kSample).text();
    EXPECT_NE(text.find(wrong.reported), std::string::npos) << wrong.what << " was reported as:\n" << text;
  }
}

TEST(ConformanceTeeth, FieldsOfOurOwnAreListedAndMustNotTakeKafkasTags) {
  std::vector<FieldInfo> fields = sample_fields();
  FieldInfo private_field = plain("Durable", "int64", since(2), "-1");
  private_field.ours = true;
  private_field.tag = 10'001;
  fields.push_back(private_field);
  Report report = compare(sample_traits(), fields, kSample);
  EXPECT_TRUE(report.findings.empty()) << report.text();
  EXPECT_EQ(report.ours, std::vector<std::string>{"SampleRequest.Durable tag 10001"});

  fields.back().tag = 0;
  report = compare(sample_traits(), fields, kSample);
  EXPECT_NE(report.text().find("has a tag that Kafka uses"), std::string::npos) << report.text();
}

TEST(ConformanceTeeth, FileThatIsNoJsonIsReported) {
  EXPECT_EQ(compare(sample_traits(), sample_fields(), "{ 1").findings.size(), 1u);
}

}  // namespace
}  // namespace chronik::protocol::conformance
