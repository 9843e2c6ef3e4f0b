// Properties that hold for every message of the table and every version of it.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <string>

#include "core/base/mix.h"
#include "core/ports/random.h"
#include "core/protocol/api_versions.h"

namespace chronik::protocol {
namespace {

// A stream of draws from one seed. Every draw differs, also where a description draws in a loop.
class Draws final : public Random {
 public:
  explicit Draws(std::uint64_t seed) : seed_(seed) {}
  std::uint64_t next() override { return mix(seed_, ++count_); }

 private:
  const std::uint64_t seed_;
  std::uint64_t count_ = 0;
};

template <typename Visit>
void for_each_message(Visit visit) {
  for (const Api& api : all_apis()) {
    for (const MessageType* type : {&api.request(), &api.response()}) {
      for (std::int16_t v = type->traits.versions.min; v <= type->traits.versions.max; ++v) {
        SCOPED_TRACE(std::string(type->traits.name) + " v" + std::to_string(v));
        visit(*type, v);
      }
    }
  }
}

// Large enough to have something of everything, small enough to try every byte of it.
Slice message_of_some_size(const MessageType& type, std::int16_t version) {
  Slice best;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Draws draws(seed);
    const Slice message = type.generate(draws, version);
    if (message.size() <= 160 && message.size() >= best.size()) {
      best = message;
    }
  }
  return best;
}

// What was decoded at all is a message: it must go through encoding and decoding once more, to the same bytes.
void decode_must_be_total(const MessageType& type, std::int16_t version, const Slice& bytes) {
  const StatusOr<Slice> once = type.reencode(bytes, version);
  if (!once.ok()) {
    ASSERT_TRUE(absl::IsInvalidArgument(once.status())) << once.status();
    return;
  }
  const StatusOr<Slice> twice = type.reencode(*once, version);
  ASSERT_TRUE(twice.ok()) << twice.status();
  ASSERT_EQ(*once, *twice);
  ASSERT_TRUE(type.text(bytes, version).ok());
}

TEST(EveryMessage, RandomMessageSurvivesEncodingAndDecodingInEveryVersion) {
  for_each_message([](const MessageType& type, std::int16_t version) {
    ASSERT_TRUE(rc::check([&] {
      Draws draws(*rc::gen::arbitrary<std::uint64_t>());
      const Status status = type.round_trip(draws, version);
      RC_ASSERT(status.ok());
    }));
  });
}

TEST(EveryMessage, EveryTruncationIsRefused) {
  for_each_message([](const MessageType& type, std::int16_t version) {
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      Draws draws(seed);
      const Slice whole = type.generate(draws, version);
      for (std::size_t size = 0; size < whole.size(); ++size) {
        // A copy of its own, so that a sanitizer sees a read beyond the end.
        const StatusOr<Slice> result = type.reencode(Slice::copy_of(whole.bytes().first(size)), version);
        ASSERT_TRUE(absl::IsInvalidArgument(result.status())) << "cut at " << size << " of " << whole.size();
      }
    }
  });
}

TEST(EveryMessage, EveryChangeOfOneByteIsDecodedOrRefused) {
  for_each_message([](const MessageType& type, std::int16_t version) {
    const Slice whole = message_of_some_size(type, version);
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (const unsigned flip : {0x01u, 0x80u, 0xffu}) {
        const Slice changed = Slice::copy_of(whole.bytes());
        std::uint8_t& byte = changed.mutable_data()[at];
        byte = static_cast<std::uint8_t>(byte ^ flip);
        decode_must_be_total(type, version, changed);
      }
    }
  });
}

TEST(EveryMessage, NoiseIsDecodedOrRefused) {
  for_each_message([](const MessageType& type, std::int16_t version) {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
      Draws draws(seed);
      const Slice noise = Slice::allocate(draws.next() % 200);
      for (std::uint8_t& byte : noise.mutable_bytes()) {
        byte = static_cast<std::uint8_t>(draws.next() % 3 == 0 ? draws.next() : draws.next() % 3);
      }
      decode_must_be_total(type, version, noise);
    }
  });
}

TEST(EveryMessage, VersionsOutsideTheDescriptionAreRefused) {
  for (const Api& api : all_apis()) {
    for (const MessageType* type : {&api.request(), &api.response()}) {
      const VersionRange range = type->traits.versions;
      const std::int16_t below = static_cast<std::int16_t>(range.min - 1);
      const std::int16_t above = static_cast<std::int16_t>(range.max + 1);
      EXPECT_TRUE(absl::IsOutOfRange(type->reencode(Slice(), below).status())) << type->traits.name;
      EXPECT_TRUE(absl::IsOutOfRange(type->reencode(Slice(), above).status())) << type->traits.name;
    }
  }
}

TEST(EveryMessage, TextOfAMessageIsOneBoundedLine) {
  for_each_message([](const MessageType& type, std::int16_t version) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      Draws draws(seed);
      const StatusOr<std::string> text = type.text(type.generate(draws, version), version);
      ASSERT_TRUE(text.ok()) << text.status();
      ASSERT_EQ(text->find(type.traits.name), 0u) << *text;
      ASSERT_EQ(text->find_first_of("\n\r\0"), std::string::npos) << *text;
      ASSERT_LT(text->size(), 100'000u);
    }
  });
}

}  // namespace
}  // namespace chronik::protocol
