#include "core/base/wait_key.h"

namespace chronik {

const char* wait_kind_name(WaitKind kind) {
  switch (kind) {
    case WaitKind::kNone: return "nothing";
    case WaitKind::kWork: return "work";
    case WaitKind::kSleep: return "sleep";
    case WaitKind::kTurnstile: return "turnstile";
    case WaitKind::kEvent: return "event";
    case WaitKind::kChannel: return "channel";
    case WaitKind::kScope: return "scope";
    case WaitKind::kDisk: return "disk operation";
    case WaitKind::kNetworkRead: return "network read";
    case WaitKind::kNetworkWrite: return "network write";
    case WaitKind::kConnect: return "connect";
    case WaitKind::kAccept: return "accept";
    case WaitKind::kStore: return "store operation";
    case WaitKind::kMailbox: return "mailbox";
    case WaitKind::kRequest: return "request";
    case WaitKind::kWalFlush: return "wal flush";
    case WaitKind::kHighWatermark: return "high watermark";
    case WaitKind::kLogAppend: return "log append";
    case WaitKind::kMetadataIndex: return "metadata index";
    case WaitKind::kBudget: return "budget";
    case WaitKind::kWalRoom: return "room in the write-ahead log";
    case WaitKind::kFormation: return "the other nodes to agree on a group";
    case WaitKind::kFetchSession: return "fetch session";
    case WaitKind::kFetchAnswer: return "answer to fetch";
  }
  return "unknown";
}

}  // namespace chronik
