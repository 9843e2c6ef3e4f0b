#include "tests/conformance/echo_program.h"

#include <fmt/core.h>

#include <memory>
#include <utility>
#include <vector>

namespace chronik::conformance {

namespace {

constexpr std::size_t kBufferBytes = 4096;

Deadline patience() { return fiber::within(Duration::seconds(10), Expiry::kPeer); }

Status echo_until_closed(Connection& connection) {
  for (;;) {
    const Slice buffer = Slice::allocate(kBufferBytes);
    ASSIGN_OR_RETURN(const std::size_t got, connection.read(buffer.mutable_bytes(), patience()));
    if (got == 0) {
      return ok();
    }
    const Slice part = buffer.sub(0, got);
    RETURN_IF_ERROR(connection.write({&part, 1}, patience()));
  }
}

Status exchange(Connection& connection, const Slice& message) {
  RETURN_IF_ERROR(connection.write({&message, 1}, patience()));
  const Slice back = Slice::allocate(message.size());
  for (std::size_t have = 0; have < message.size();) {
    ASSIGN_OR_RETURN(const std::size_t got, connection.read(back.mutable_bytes().subspan(have), patience()));
    if (got == 0) {
      return absl::DataLossError("the echo ended early");
    }
    have += got;
  }
  return back == message ? ok() : absl::DataLossError("the echo differs");
}

Slice message_of(std::uint64_t client, std::uint64_t number, std::size_t size) {
  Slice message = Slice::allocate(size);
  for (std::size_t i = 0; i < size; ++i) {
    message.mutable_data()[i] = static_cast<std::uint8_t>(client * 31 + number * 7 + i);
  }
  return message;
}

Status run_client(Ports& ports, const Address& server, const EchoLoad& load, std::uint64_t client,
                  EchoOutcome& outcome) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Connection> connection, ports.network.connect(server, patience()));
  for (std::uint64_t number = 0; number < load.messages; ++number) {
    RETURN_IF_ERROR(exchange(*connection, message_of(client, number, load.message_bytes)));
    ++outcome.echoed;
  }
  connection->shutdown_write();
  std::uint8_t byte = 0;
  ASSIGN_OR_RETURN(const std::size_t got, connection->read({&byte, 1}, patience()));
  return got == 0 ? ok() : absl::DataLossError("bytes after the last echo");
}

Status keep_journal(Ports& ports, std::uint64_t lines) {
  const Deadline deadline = patience();
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                   ports.disk.open("journal", OpenMode::kCreate, DiskLane::kLog, deadline));
  RETURN_IF_ERROR(ports.disk.sync_directory("", deadline));
  std::uint64_t end = 0;
  std::string all;
  for (std::uint64_t number = 0; number < lines; ++number) {
    const std::string line = fmt::format("line {}\n", number);
    FileBatch batch;
    batch.writes.push_back({.offset = end, .parts = {Slice::copy_of(line)}});
    batch.sync = true;
    RETURN_IF_ERROR(file->run(std::move(batch), patience()));
    end += line.size();
    all += line;
  }
  ASSIGN_OR_RETURN(const Slice back, file->read(0, end + 1, patience()));
  return back.text() == all ? ok() : absl::DataLossError("the journal differs");
}

void note(EchoOutcome& outcome, const Status& status) {
  if (!status.ok() && outcome.trouble.empty()) {
    outcome.trouble = status.ToString();
  }
}

}  // namespace

void serve_echo(Listener& listener, fiber::FiberScope& scope) {
  for (std::uint64_t number = 0;; ++number) {
    StatusOr<std::unique_ptr<Connection>> accepted =
        listener.accept(Deadline(MonotonicTime::never(), Expiry::kNormal, scope.source()));
    if (!accepted.ok()) {
      return;
    }
    scope.spawn({"echo", number}, [connection = *std::move(accepted)] {
      // A connection that breaks ends its fiber; its client reports what it missed.
      static_cast<void>(echo_until_closed(*connection));
    });
  }
}

EchoOutcome run_echo_clients(Ports& ports, const Address& server, const EchoLoad& load) {
  EchoOutcome outcome;
  fiber::FiberScope clients;
  for (std::uint64_t client = 0; client < load.clients; ++client) {
    clients.spawn({"client", client}, [&ports, &server, &load, &outcome, client] {
      note(outcome, run_client(ports, server, load, client, outcome));
    });
  }
  note(outcome, clients.join(fiber::within(Duration::seconds(15), Expiry::kPeer)));
  clients.cancel_and_join();
  return outcome;
}

EchoOutcome run_echo_program(Ports& ports, const Address& at, const EchoLoad& load) {
  StatusOr<std::unique_ptr<Listener>> listener = ports.network.listen(at);
  if (!listener.ok()) {
    return {.echoed = 0, .trouble = listener.status().ToString()};
  }
  fiber::FiberScope server;
  server.spawn({"acceptor"}, [&listener, &server] { serve_echo(**listener, server); });
  EchoOutcome journal;
  fiber::FiberScope keeper;
  keeper.spawn({"journal"}, [&ports, &load, &journal] { note(journal, keep_journal(ports, load.messages)); });
  EchoOutcome outcome = run_echo_clients(ports, (*listener)->local(), load);
  note(outcome, keeper.join(patience()));
  keeper.cancel_and_join();
  server.cancel_and_join();
  if (outcome.trouble.empty()) {
    outcome.trouble = journal.trouble;
  }
  return outcome;
}

}  // namespace chronik::conformance
