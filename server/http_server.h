// A few pages over HTTP, made anew for each request, on threads of their own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/base/status.h"
#include "server/values.h"

namespace chronik::server {

struct HttpPage {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body = {};
};

class HttpServer {
 public:
  using MakePage = std::function<HttpPage()>;                         // on any thread
  using TakePage = std::function<HttpPage(const std::string& body)>;  // as that
  struct Pages {
    std::map<std::string, MakePage> get;  // by path
    std::map<std::string, TakePage> post = {};
    std::string api_key = {};  // that each request must carry in its header X-API-Key; empty: none
  };

  // Listens and serves from now on. kFailedPrecondition: the address cannot be bound.
  static StatusOr<std::unique_ptr<HttpServer>> start(const HostPort& at, const Pages& pages);
  virtual ~HttpServer() = default;  // ends its threads
  // With the real port where 0 was asked for.
  virtual HostPort address() const = 0;
};

}  // namespace chronik::server
