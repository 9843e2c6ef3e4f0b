#include "server/http_client.h"

#include <fmt/core.h>
#include <httplib.h>

namespace chronik::server {

namespace {

constexpr std::size_t kPageBytesMax = 16 << 20;  // whoever answers there may be anybody

const char* why(httplib::Error error) {
  switch (error) {
    case httplib::Error::Connection: return "nobody answers there";
    case httplib::Error::Read: return "it does not answer in time";
    case httplib::Error::Canceled: return "its answer is too long";
    default: return "the connection broke";
  }
}

}  // namespace

StatusOr<HttpPage> http_get(const HostPort& at, const std::string& path, const std::string& api_key,
                            Duration patience) {
  httplib::Client client(at.host, at.port.value_or(80));
  const auto microseconds = std::chrono::microseconds(patience.nanoseconds() / 1000);
  client.set_connection_timeout(microseconds);
  client.set_read_timeout(microseconds);
  client.set_write_timeout(microseconds);
  httplib::Headers headers;
  if (!api_key.empty()) {
    headers.emplace("X-API-Key", api_key);
  }
  HttpPage page;
  const httplib::Result result = client.Get(path, headers, [&page](const char* data, std::size_t size) {
    page.body.append(data, size);
    return page.body.size() <= kPageBytesMax;
  });
  if (!result) {
    return absl::UnavailableError(why(result.error()));
  }
  page.status = result->status;
  page.content_type = result->get_header_value("Content-Type");
  return page;
}

}  // namespace chronik::server
