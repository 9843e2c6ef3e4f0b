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

// Sends it with send(client, headers, receiver), which is one of the library's calls.
template <typename Send>
StatusOr<HttpPage> exchange(const HostPort& at, const std::string& api_key, Duration patience, Send send) {
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
  const httplib::Result result = send(client, headers, [&page](const char* data, std::size_t size) {
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

}  // namespace

StatusOr<HttpPage> http_get(const HostPort& at, const std::string& path, const std::string& api_key,
                            Duration patience) {
  return exchange(at, api_key, patience, [&](httplib::Client& client, const httplib::Headers& headers, auto receiver) {
    return client.Get(path, headers, receiver);
  });
}

StatusOr<HttpPage> http_post(const HostPort& at, const std::string& path, const std::string& body,
                             const std::string& api_key, Duration patience) {
  return exchange(at, api_key, patience, [&](httplib::Client& client, const httplib::Headers& headers, auto receiver) {
    httplib::Request request;
    request.method = "POST";
    request.path = path;
    request.headers = headers;
    request.headers.emplace("Content-Type", "application/json");
    request.body = body;
    request.content_receiver = [receiver](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
      return receiver(data, size);
    };
    return client.send(request);
  });
}

}  // namespace chronik::server
