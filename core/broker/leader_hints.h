// Who leads what was asked of the wrong node, in the answer itself (KIP-951): the client need not ask for metadata.
#pragma once

#include "core/protocol/messages/fetch.h"
#include "core/protocol/messages/produce.h"

namespace chronik::broker {

class Broker;
class ClientConnection;

// For each partition that is refused because another node leads it, as far as the image knows: the leader and where it
// is. Says nothing where this node forwards: its clients are to stay with it. Clients of versions that do not know it
// are not told. An isolated node does not name itself, and sends whom it has refused to others: Metadata tells them
// another leader.
void name_leaders(Broker& broker, ClientConnection& client, protocol::ProduceResponse& response);
void name_leaders(Broker& broker, protocol::FetchResponse& response, std::int16_t version);

}  // namespace chronik::broker
