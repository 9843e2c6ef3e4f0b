// After a long silence the first record is taken as soon as any other.
#include "sim/scenarios/field/page.h"
#include "sim/scenarios/field/pages.h"

namespace chronik::sim {

namespace {

const GroupScenario kF27{GroupPage{
    .name = "f27-produce-after-a-silence",
    .story = "35 s and more without a record, then records again",
    .promises = {"NO-STUCK", "REPLICA-LIVE"},
    .lasts = Duration::seconds(60),
    .answered_within = Duration::seconds(2),
    .plan =
        [](PagePlan& page) {
          page.quick_network();
          page.produce_from(page.draws.between(Duration::seconds(40), Duration::seconds(50)));
        },
}};

}  // namespace

Pages pages_on_silence() { return {&kF27}; }

}  // namespace chronik::sim
