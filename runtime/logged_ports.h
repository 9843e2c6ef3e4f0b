// Ports that a LogSession listens to: decorators of real ports while recording, and in their place while replaying.
//
// Lifetime: the session and the real ports outlive this; this outlives every object that its ports made.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/ports/ports.h"
#include "runtime/log_session.h"

namespace chronik::runtime {

// Mail as bytes, for a log: messages are moved, and a log must keep a copy.
class MessageCodec {
 public:
  virtual ~MessageCodec() = default;
  virtual std::string encode(const MailboxMessage& message) const = 0;
  virtual std::unique_ptr<MailboxMessage> decode(std::string_view bytes) const = 0;
};

class LoggedPorts {
 public:
  // real: null while replaying. codec: null where no mail is received (checked).
  LoggedPorts(LogSession& session, Ports* real, const MessageCodec* codec);
  ~LoggedPorts();
  LoggedPorts(const LoggedPorts&) = delete;
  LoggedPorts& operator=(const LoggedPorts&) = delete;

  Ports& ports() { return *ports_; }

 private:
  struct All;
  std::unique_ptr<All> all_;
  std::optional<Ports> ports_;
};

}  // namespace chronik::runtime
