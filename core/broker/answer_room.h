// Counts an answer while it is built, since a request may name more than an answer can hold: what would not be sent is
// not made in memory either.
#pragma once

#include <fmt/core.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "core/broker/request.h"
#include "core/protocol/message.h"

namespace chronik::broker {

template <typename Response>
class AnswerRoom {
 public:
  explicit AnswerRoom(const Request& request)
      : bytes_max_(request.answer.bytes_max()), version_(request.header.version) {}

  // Counts so many bytes more. False: it is too large now, and refuse() is all that is left.
  bool take(std::size_t bytes) {
    bytes_ += bytes;
    return bytes_ <= bytes_max_;
  }
  // The same for an element of that list.
  template <typename List>
  bool take(List Response::*list, typename List::value_type& element) {
    Response alone;
    (alone.*list).push_back(std::move(element));
    const std::size_t bytes = protocol::encoded_size(alone, version_);
    element = std::move((alone.*list).back());
    return take(bytes);
  }
  void refuse(Request& request) const {
    request.answer.refuse(absl::ResourceExhaustedError(
        fmt::format("{} of {} bytes, and that is not all of it", Response::kTraits.name, bytes_)));
  }

 private:
  std::size_t bytes_max_;
  std::int16_t version_;
  std::size_t bytes_ = 0;
};

}  // namespace chronik::broker
