// Decisions of a simulated world. Each is a hash of (seed, stream, entity, counter of that entity), so that taking one
// entity out of a run leaves the decisions about all others as they were (rule S10).
//
// An entity is named by its parents and its place among its siblings ("client-3", its connection 5, its 7th sync),
// never by a global counter or an address. All draws are integers of our own making: no std distribution, no floating
// point.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/check.h"
#include "core/base/mix.h"
#include "core/base/time.h"

namespace chronik::sim {

// A probability of n in a million.
struct PerMillion {
  std::uint32_t value = 0;
};
constexpr PerMillion percent(std::uint32_t n) { return {n * 10'000}; }

// The decisions about one entity in one stream. Small; copy it only to abandon the original.
class Draws {
 public:
  // tally: counts the draws of the whole world (may be null); outlives this.
  Draws(std::uint64_t seed, std::string_view stream, std::uint64_t entity, std::uint64_t* tally = nullptr)
      : key_(mix(seed, mix_text(stream), entity)), tally_(tally) {}

  // 64 uniform bits.
  std::uint64_t next() {
    if (tally_ != nullptr) {
      ++*tally_;
    }
    return mix(key_, counter_++);
  }
  // An integer in [0, n); n > 0.
  std::uint64_t below(std::uint64_t n) {
    CHECK_GT(n, std::uint64_t{0});
    return chronik::below(next(), n);
  }
  // An integer in [low, high].
  std::int64_t between(std::int64_t low, std::int64_t high) {
    CHECK_LE(low, high);
    const std::uint64_t width = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
    const std::uint64_t drawn = width == 0 ? next() : below(width);
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + drawn);
  }
  Duration between(Duration low, Duration high) {
    return Duration::nanoseconds(between(low.nanoseconds(), high.nanoseconds()));
  }
  bool chance(PerMillion probability) { return below(1'000'000) < probability.value; }
  // An index into `weights` with a probability in proportion to its weight; not all may be 0.
  std::size_t pick(std::span<const std::uint32_t> weights);
  // An integer in [low, high], every order of magnitude as likely as another; low >= 1.
  std::int64_t magnitude(std::int64_t low, std::int64_t high);
  // Mostly within [typical/2, 2*typical], once in some hundred up to `most`: what delays look like.
  Duration heavy_tailed(Duration typical, Duration most);

  // Decisions about a part of this entity: the k-th of its connections, say. Draws nothing from this one.
  Draws child(std::string_view stream, std::uint64_t entity) const { return Draws(key_, stream, entity, tally_); }
  std::uint64_t count() const { return counter_; }

 private:
  std::uint64_t key_;
  std::uint64_t* tally_;
  std::uint64_t counter_ = 0;
};

// The root of all decisions of a world, and the count of all draws, which the determinism hash covers.
class Decisions {
 public:
  explicit Decisions(std::uint64_t seed) : seed_(seed) {}
  Decisions(const Decisions&) = delete;
  Decisions& operator=(const Decisions&) = delete;

  std::uint64_t seed() const { return seed_; }
  std::uint64_t drawn() const { return drawn_; }
  Draws draws(std::string_view stream, std::uint64_t entity) { return Draws(seed_, stream, entity, &drawn_); }
  Draws draws(std::string_view stream, std::string_view entity) { return draws(stream, mix_text(entity)); }

 private:
  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
};

}  // namespace chronik::sim
