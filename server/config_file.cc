#include "server/config_file.h"

#include <fmt/core.h>
// What parsing and looking up need, and no more: without exceptions, errors come as values.
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include <cstdio>
#include <memory>

namespace chronik::server {

namespace {

class Flattener {
 public:
  explicit Flattener(std::string_view name) : name_(name) {}

  Status add_table(const std::string& prefix, const toml::table& table) {
    for (const auto& [key, node] : table) {
      const std::string full = prefix.empty() ? std::string(key.str()) : fmt::format("{}.{}", prefix, key.str());
      RETURN_IF_ERROR(add(full, node));
    }
    return ok();
  }
  std::vector<FileValue> take() { return std::move(values_); }

 private:
  Status add(const std::string& key, const toml::node& node) {
    if (const toml::table* table = node.as_table()) {
      return add_table(key, *table);
    }
    std::string text;
    if (const toml::array* array = node.as_array()) {
      if (array->is_array_of_tables()) {
        std::size_t place = 0;
        for (const toml::node& element : *array) {
          RETURN_IF_ERROR(add_table(fmt::format("{}.{}", key, place++), *element.as_table()));
        }
        return ok();
      }
      for (const toml::node& element : *array) {
        ASSIGN_OR_RETURN(const std::string one, text_of(key, element));
        text += (text.empty() ? "" : ",") + one;
      }
      return put(key, std::move(text), node);
    }
    ASSIGN_OR_RETURN(text, text_of(key, node));
    return put(key, std::move(text), node);
  }

  StatusOr<std::string> text_of(const std::string& key, const toml::node& node) const {
    if (const auto text = node.value_exact<std::string>()) {
      return *text;
    }
    if (const auto number = node.value_exact<std::int64_t>()) {
      return fmt::format("{}", *number);
    }
    if (const auto number = node.value_exact<double>()) {
      return fmt::format("{}", *number);
    }
    if (const auto flag = node.value_exact<bool>()) {
      return *flag ? "true" : "false";
    }
    return absl::InvalidArgumentError(
        fmt::format("{}: {}: must be a text, a number, true or false, or a list of them", where(node), key));
  }

  Status put(const std::string& key, std::string text, const toml::node& node) {
    values_.push_back({.key = key, .text = std::move(text), .where = where(node)});
    return ok();
  }
  std::string where(const toml::node& node) const { return fmt::format("{}:{}", name_, node.source().begin.line); }

  std::string_view name_;
  std::vector<FileValue> values_;
};

}  // namespace

StatusOr<std::vector<FileValue>> parse_config(std::string_view text, std::string_view name) {
  const toml::parse_result parsed = toml::parse(text);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    return absl::InvalidArgumentError(
        fmt::format("{}:{}: not TOML: {}", name, error.source().begin.line, error.description()));
  }
  Flattener flattener(name);
  RETURN_IF_ERROR(flattener.add_table("", parsed.table()));
  return flattener.take();
}

StatusOr<std::vector<FileValue>> read_config_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "r"), &std::fclose);
  if (file == nullptr) {
    return absl::NotFoundError("must be a file that can be read");
  }
  std::string text;
  char buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof(buffer), file.get())) > 0;) {
    text.append(buffer, n);
  }
  if (std::ferror(file.get()) != 0) {  // a directory, for one
    return absl::NotFoundError("must be a file that can be read");
  }
  return parse_config(text, path);
}

}  // namespace chronik::server
