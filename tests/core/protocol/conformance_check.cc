#include "tests/core/protocol/conformance_check.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

namespace chronik::protocol::conformance {
namespace {

using Json = nlohmann::json;

// "3+", "2-7", "0", "none" or nothing at all.
VersionRange parse_versions(const std::string& text) {
  if (text.empty() || text == "none") {
    return {0, -1};
  }
  const auto min = static_cast<std::int16_t>(std::stoi(text));
  if (text.back() == '+') {
    return since(min);
  }
  const std::size_t dash = text.find('-');
  return {min, dash == std::string::npos ? min : static_cast<std::int16_t>(std::stoi(text.substr(dash + 1)))};
}

VersionRange versions_of(const Json& object, const char* key) { return parse_versions(object.value(key, "")); }

VersionRange both(VersionRange a, VersionRange b) { return {std::max(a.min, b.min), std::min(a.max, b.max)}; }

// A default may be a string, a number or a boolean, and a number may be written in hex.
std::string default_of(const Json& field, const std::string& type) {
  const bool number = type.find("int") != std::string::npos && !type.starts_with("[]");
  if (!field.contains("default")) {
    return number ? "0" : type == "bool" ? "false" : "";
  }
  const Json& value = field["default"];
  std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (number) {
    return std::to_string(std::stoll(text, nullptr, 0));
  }
  if (type == "bool") {
    return text == "true" || text == "True" ? "true" : "false";
  }
  return text;
}

class Comparison {
 public:
  Comparison(const MessageTraits& traits, const Json& message, Report& report)
      : traits_(traits), report_(report), message_(message) {
    for (const Json& common : message.value("commonStructs", Json::array())) {
      common_[common["name"]] = common["fields"];
    }
  }

  void run(const std::vector<FieldInfo>& fields) {
    const auto expect = [&](bool same, const char* what) {
      if (!same) {
        report_.findings.push_back({traits_.name, what});
      }
    };
    const bool request = traits_.kind == MessageKind::kRequest;
    expect(message_["name"] == traits_.name, "name differs");
    // What Kafka keeps in __consumer_offsets is described alike, and is neither.
    const std::string type = message_["type"];
    expect(type == (request ? "request" : "response") || type.starts_with("coordinator-"), "kind differs");
    expect(message_["apiKey"] == static_cast<int>(traits_.api), "api key differs");
    const VersionRange valid = versions_of(message_, "validVersions");
    expect(valid.contains(traits_.versions.min) && valid.contains(traits_.versions.max),
           "has versions that Kafka's file does not have");
    const VersionRange flexible = versions_of(message_, "flexibleVersions");
    for (std::int16_t v = traits_.versions.min; v <= traits_.versions.max; ++v) {
      version_ = v;
      if (flexible.contains(v) != traits_.flexible(v)) {
        found("", flexible.contains(v) ? "is flexible for Kafka" : "is not flexible for Kafka");
      }
      walk("", fields, message_["fields"], traits_.versions);
    }
  }

 private:
  // The fields that both have in version_, in the order of the wire; those with a tag apart. They belong to something
  // that is there in the versions `around`.
  void walk(const std::string& path, const std::vector<FieldInfo>& ours, const Json& kafkas, VersionRange around) {
    std::vector<const FieldInfo*> our_plain, our_tagged;
    std::uint32_t tag_before = 0;
    for (const FieldInfo& field : ours) {
      if (field.ours) {
        list_ours(path, field, kafkas);
      } else if (field.versions.contains(version_)) {
        (field.tag.has_value() ? our_tagged : our_plain).push_back(&field);
      }
      if (field.tag.has_value()) {
        if (*field.tag < tag_before) {
          found(path + field.name, "tags must ascend");
        }
        tag_before = *field.tag;
      }
    }
    std::vector<const Json*> kafka_plain;
    std::map<std::uint32_t, const Json*> kafka_tagged;
    for (const Json& field : kafkas) {
      if (versions_of(field, "taggedVersions").contains(version_)) {
        kafka_tagged[field["tag"].get<std::uint32_t>()] = &field;
      } else if (versions_of(field, "versions").contains(version_)) {
        kafka_plain.push_back(&field);
      }
    }
    compare_plain(path, our_plain, kafka_plain, around);
    compare_tagged(path, our_tagged, kafka_tagged, around);
  }

  void compare_plain(const std::string& path, const std::vector<const FieldInfo*>& ours,
                     const std::vector<const Json*>& kafkas, VersionRange around) {
    for (std::size_t i = 0; i < std::max(ours.size(), kafkas.size()); ++i) {
      if (i >= ours.size()) {
        found(path + (*kafkas[i])["name"].get<std::string>(), "is missing");
      } else if (i >= kafkas.size()) {
        found(path + ours[i]->name, "is not in this version of Kafka's");
      } else if ((*kafkas[i])["name"] != ours[i]->name) {
        found(path + ours[i]->name, "stands where Kafka has " + (*kafkas[i])["name"].get<std::string>());
        return;  // all that follows would differ too
      } else {
        compare_field(path, *ours[i], *kafkas[i], around);
      }
    }
  }

  void compare_tagged(const std::string& path, const std::vector<const FieldInfo*>& ours,
                      std::map<std::uint32_t, const Json*> kafkas, VersionRange around) {
    for (const FieldInfo* field : ours) {
      const auto kafka = kafkas.find(*field->tag);
      if (kafka == kafkas.end()) {
        found(path + field->name, fmt::format("tag {} is not in this version of Kafka's", *field->tag));
      } else if ((*kafka->second)["name"] != field->name) {
        found(path + field->name,
              fmt::format("has tag {} of Kafka's {}", *field->tag, (*kafka->second)["name"].get<std::string>()));
      } else {
        compare_field(path, *field, *kafka->second, around);
      }
      if (kafka != kafkas.end()) {
        kafkas.erase(kafka);
      }
    }
    for (const auto& [tag, field] : kafkas) {
      found(path + (*field)["name"].get<std::string>(), fmt::format("with tag {} is missing", tag));
    }
  }

  void compare_field(const std::string& path, const FieldInfo& field, const Json& kafka, VersionRange around) {
    ++report_.fields_compared;
    const std::string where = path + field.name;
    std::string type = kafka["type"];
    const bool array = type.starts_with("[]");
    const std::string base = array ? type.substr(2) : type;
    if (base[0] >= 'A' && base[0] <= 'Z') {
      type = array ? "[]struct" : "struct";
      walk(where + ".", field.fields, kafka.contains("fields") ? kafka["fields"] : common_[base],
           both(around, versions_of(kafka, "versions")));
    }
    if (type != field.type) {
      found(where, fmt::format("is {}, Kafka's is {}", field.type, type));
    }
    const bool nullable = versions_of(kafka, "nullableVersions").contains(version_);
    if (nullable != field.nullable.contains(version_)) {
      found(where, nullable ? "may be null for Kafka" : "may not be null for Kafka");
    }
    compare_default(where, field, kafka, type, around);
  }

  // A default is seen by a reader where the field is absent: left out as a tagged field, or by version of what has it.
  // Where Kafka's file gives one, ours must be the same in any case. A nullable field for which it gives none starts as
  // null with us.
  void compare_default(const std::string& where, const FieldInfo& field, const Json& kafka, const std::string& type,
                       VersionRange around) {
    const bool given = kafka.contains("default");
    const VersionRange versions = versions_of(kafka, "versions");
    const bool may_be_absent =
        field.tag.has_value() || !versions.contains(around.min) || !versions.contains(around.max);
    if (!given && (!may_be_absent || field.nullable.contains(version_) || starts_as_none(kafka))) {
      return;
    }
    const std::string expected = default_of(kafka, type);
    if (expected != field.default_value) {
      found(where, fmt::format("starts as '{}', Kafka's as '{}'", field.default_value, expected));
    }
  }

  // Our ids start as none (-1) and Kafka's ints as 0, where its file does not say otherwise.
  static bool starts_as_none(const Json& kafka) { return kafka.value("entityType", "") == "brokerId"; }

  void list_ours(const std::string& path, const FieldInfo& field, const Json& kafkas) {
    const std::string line = fmt::format("{}.{}{} tag {}", traits_.name, path, field.name, field.tag.value_or(0));
    if (std::find(report_.ours.begin(), report_.ours.end(), line) == report_.ours.end()) {
      report_.ours.push_back(line);
    }
    for (const Json& kafka : kafkas) {
      if (kafka.value("tag", -1) == static_cast<int>(field.tag.value_or(0))) {
        found(path + field.name, "has a tag that Kafka uses");
      }
    }
  }

  void found(const std::string& where, std::string what) {
    report_.findings.push_back({fmt::format("{} v{} {}", traits_.name, version_, where), std::move(what)});
  }

  const MessageTraits& traits_;
  Report& report_;
  const Json& message_;
  std::map<std::string, Json> common_;
  std::int16_t version_ = 0;
};

}  // namespace

std::string Report::text() const {
  std::string text;
  for (const Finding& finding : findings) {
    text += fmt::format("{}: {}\n", finding.where, finding.what);
  }
  return text;
}

Report compare(const MessageTraits& traits, const std::vector<FieldInfo>& fields, std::string_view kafka_json) {
  Report report;
  const Json message = Json::parse(kafka_json, nullptr, false, true);
  if (message.is_discarded()) {
    report.findings.push_back({traits.name, "Kafka's file is not JSON"});
    return report;
  }
  Comparison(traits, message, report).run(fields);
  return report;
}

}  // namespace chronik::protocol::conformance
