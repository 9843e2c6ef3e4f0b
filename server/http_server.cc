#include "server/http_server.h"

#include <fmt/core.h>
#include <httplib.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "runtime/masked_signals.h"

namespace chronik::server {

namespace {

constexpr std::size_t kThreads = 2;
constexpr time_t kSeconds = 5;  // for a client to send its request, and to take its answer
constexpr std::size_t kRequestBytesMax = 64 * 1024;

// Takes as long wherever the two differ, so that the time of an answer tells nothing of the key but its length.
bool same_key(std::string_view a, std::string_view b) {
  bool same = a.size() == b.size();
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    same = (a[i] == b[i]) & same;
  }
  return same;
}

void put_page(const HttpPage& page, httplib::Response& response) {
  response.status = page.status;
  response.set_content(page.body, page.content_type.c_str());
}

class LibraryServer final : public HttpServer {
 public:
  explicit LibraryServer(const Pages& pages) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };  // the library deletes it
    server_.set_keep_alive_max_count(1);  // the library polls a connection that it keeps
    server_.set_keep_alive_timeout(kSeconds);
    server_.set_read_timeout(kSeconds);
    server_.set_write_timeout(kSeconds);
    server_.set_payload_max_length(kRequestBytesMax);
    // By default the library shares ports: a second server would take every other request.
    server_.set_socket_options([](socket_t socket) {
      const int one = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    });
    for (const auto& [path, make] : pages.get) {
      server_.Get(path, [make = make](const httplib::Request&, httplib::Response& out) { put_page(make(), out); });
    }
    for (const auto& [path, make] : pages.post) {
      server_.Post(path, [make = make](const httplib::Request& request, httplib::Response& out) {
        put_page(make(request.body), out);
      });
    }
    if (!pages.api_key.empty()) {
      server_.set_pre_routing_handler([key = pages.api_key](const httplib::Request& request, httplib::Response& out) {
        if (same_key(request.get_header_value("X-API-Key"), key)) {
          return httplib::Server::HandlerResponse::Unhandled;
        }
        put_page({.status = 401,
                  .content_type = "application/json",
                  .body = "{\"error\":\"the header X-API-Key must be this node's key\"}\n"},
                 out);
        return httplib::Server::HandlerResponse::Handled;
      });
    }
  }
  ~LibraryServer() override;

  Status listen(const HostPort& at);
  HostPort address() const override { return address_; }

 private:
  void serve();

  httplib::Server server_;
  HostPort address_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;  // guarded by mutex_
  std::thread thread_;
};

Status LibraryServer::listen(const HostPort& at) {
  address_ = at;
  const int wanted = at.port.value_or(0);
  const int bound = wanted == 0                             ? server_.bind_to_any_port(at.host)
                    : server_.bind_to_port(at.host, wanted) ? wanted
                                                            : -1;
  if (bound <= 0) {
    return absl::FailedPreconditionError(fmt::format("cannot listen on {}", at.to_string()));
  }
  address_.port = static_cast<std::uint16_t>(bound);
  thread_ = runtime::masked_thread([this] { serve(); });
  return ok();
}

void LibraryServer::serve() {
  server_.listen_after_bind();
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

LibraryServer::~LibraryServer() {
  if (!thread_.joinable()) {
    return;
  }
  std::unique_lock lock(mutex_);
  while (!ended_) {
    // Stopping a server whose thread has not begun to listen does nothing, so it is told again.
    server_.stop();
    changed_.wait_for(lock, std::chrono::milliseconds(10), [this] { return ended_; });
  }
  lock.unlock();
  thread_.join();
}

}  // namespace

StatusOr<std::unique_ptr<HttpServer>> HttpServer::start(const HostPort& at, const Pages& pages) {
  auto server = std::make_unique<LibraryServer>(pages);
  RETURN_IF_ERROR(server->listen(at));
  return server;
}

}  // namespace chronik::server
