#include "core/protocol/generator.h"

namespace chronik::protocol {

std::uint64_t Generator::number() {
  switch (below(6)) {
    case 0: return 0;
    case 1: return ~std::uint64_t{0};  // -1 in every width
    case 2: return below(2) == 0 ? 0x7fff'ffff'7fff'ff7f : ~std::uint64_t{0x7fff'ffff'7fff'ff7f};
    case 3: return below(300);
    default: return random_.next();
  }
}

// Short as a rule; at times long enough for a length of two bytes, as a varint and as a fixed one.
std::string Generator::text() {
  const std::size_t size = static_cast<std::size_t>(below(16) == 0 ? 100 + below(300) : below(12));
  std::string out(size, '\0');
  std::uint64_t draw = random_.next();
  for (char& c : out) {
    c = static_cast<char>(draw & 0xff);
    draw = (draw >> 8) | (draw << 56);
    draw += 0x9e37'79b9'7f4a'7c15;
  }
  return out;
}

// One draw a statement: the order in which arguments are evaluated differs between compilers.
Uuid Generator::random_uuid() {
  const std::uint64_t high = random_.next();
  const std::uint64_t low = random_.next();
  return Uuid::from_random(high, low);
}

}  // namespace chronik::protocol
