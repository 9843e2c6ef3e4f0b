// Addresses of host names, through the system's resolver, on threads of its own.
//
// A name whose server does not answer holds a thread for seconds, and whoever dials asks again long before that. So
// each name is looked up once at a time, for all who ask meanwhile, and the names of healthy nodes do not wait behind
// it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/deadline.h"
#include "core/base/status.h"
#include "core/ports/network.h"
#include "runtime/event_loop.h"
#include "runtime/helper_pool.h"
#include "runtime/system_calls.h"

namespace chronik::runtime {

class NameLookups {
 public:
  NameLookups(EventLoop& loop, SystemCalls& calls);

  // In the resolver's order. kNotFound: no such host. Numbers are answered at once.
  StatusOr<std::vector<Address>> look_up(std::string_view host, std::uint16_t port, const Deadline& deadline);

 private:
  class Resolution;
  // What comes of one lookup. Lives as long as somebody waits for it.
  struct Answer {
    bool there = false;
    int error = 0;  // getaddrinfo's
    std::vector<Address> addresses;
    std::vector<OpNumber> waiting;  // for another's lookup
  };

  void end(const std::string& host);
  Status wait_for(Answer& answer, const HelperWait& wait, const Deadline& deadline);

  EventLoop& loop_;
  SystemCalls& calls_;
  std::map<std::string, std::shared_ptr<Answer>, std::less<>> under_way_;
  HelperPool threads_;  // its jobs end their lookups: before what they use
};

}  // namespace chronik::runtime
