#include "sim/disk_content.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/base/crc32c.h"

namespace chronik::sim {
namespace {

constexpr std::uint32_t kPageBytesMin = 64;

bool all_equal(ByteSpan bytes) { return std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0; }

}  // namespace

void Content::release() {
  if (page_ != nullptr && --page_->owners == 0) {
    std::free(page_);
  }
}

void Content::read(std::uint32_t offset, MutableByteSpan into) const {
  CHECK_LE(into.size(), std::size_t{kBlockBytes});
  CHECK_LE(offset, kBlockBytes - static_cast<std::uint32_t>(into.size()));
  const std::size_t from_page =
      offset < length_ ? std::min<std::size_t>(into.size(), static_cast<std::size_t>(length_ - offset)) : 0;
  if (from_page != 0) {
    std::memcpy(into.data(), page_->bytes() + offset, from_page);
  }
  if (from_page != into.size()) {
    std::memset(into.data() + from_page, rest_, into.size() - from_page);
  }
}

std::uint8_t* Content::writable(std::uint32_t end, std::uint32_t skip, std::uint32_t skip_end) {
  const std::uint32_t length = std::max<std::uint32_t>(length_, end);
  if (page_ == nullptr || page_->owners > 1 || page_->capacity < length) {
    const std::uint32_t capacity = std::max(kPageBytesMin, std::bit_ceil(length));
    void* memory = std::malloc(sizeof(Page) + capacity);
    CHECK(memory != nullptr);
    Page* page = new (memory) Page{1, capacity};
    const std::uint32_t kept = std::min<std::uint32_t>(length_, skip);
    if (kept != 0) {
      std::memcpy(page->bytes(), page_->bytes(), kept);
    }
    if (skip_end < length_) {
      std::memcpy(page->bytes() + skip_end, page_->bytes() + skip_end, length_ - skip_end);
    }
    release();
    page_ = page;
  }
  if (length_ < skip) {
    std::memset(page_->bytes() + length_, rest_, skip - length_);
  }
  length_ = static_cast<std::uint16_t>(length);
  return page_->bytes();
}

void Content::write(std::uint32_t offset, ByteSpan bytes) {
  CHECK_LE(bytes.size(), std::size_t{kBlockBytes});
  const std::uint32_t size = static_cast<std::uint32_t>(bytes.size());
  CHECK_LE(offset, kBlockBytes - size);
  if (size == 0) {
    return;
  }
  if (size == kBlockBytes && all_equal(bytes)) {
    *this = constant(bytes[0]);
    return;
  }
  std::memcpy(writable(offset + size, offset, offset + size) + offset, bytes.data(), size);
}

void Content::fill(std::uint32_t offset, std::uint32_t size, std::uint8_t value) {
  CHECK_LE(size, kBlockBytes);
  CHECK_LE(offset, kBlockBytes - size);
  if (size == 0 || (offset >= length_ && value == rest_)) {
    return;
  }
  if (size == kBlockBytes) {
    *this = constant(value);
    return;
  }
  if (offset + size == kBlockBytes && offset <= length_) {
    rest_ = value;
    length_ = static_cast<std::uint16_t>(offset);
    return;
  }
  std::memset(writable(offset + size, offset, offset + size) + offset, value, size);
}

bool Content::equal(const Content& other, std::uint32_t offset, std::uint32_t size) const {
  CHECK_LE(offset + size, kBlockBytes);
  if (page_ == other.page_ && length_ == other.length_ && rest_ == other.rest_) {
    return true;
  }
  const std::uint32_t end = offset + size;
  const std::uint32_t both = std::min<std::uint32_t>(end, std::min(length_, other.length_));
  if (offset < both && std::memcmp(page_->bytes() + offset, other.page_->bytes() + offset, both - offset) != 0) {
    return false;
  }
  for (std::uint32_t i = std::max(offset, both); i < end; ++i) {
    if (at(i) != other.at(i)) {
      return false;
    }
    if (i >= length_ && i >= other.length_) {
      return true;  // from here on both are constant
    }
  }
  return true;
}

std::uint32_t Content::crc() const {
  std::array<std::uint8_t, kBlockBytes> bytes;
  read(0, bytes);
  return crc32c(bytes);
}

}  // namespace chronik::sim
