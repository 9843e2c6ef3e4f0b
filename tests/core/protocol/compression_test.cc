#include "core/protocol/compression.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/protocol/record_batch_stream.h"

namespace chronik::protocol {
namespace {

constexpr std::size_t kOutputLimit = std::size_t{1} << 20;
constexpr std::array<Codec, 4> kRealCodecs{Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd};
constexpr std::array<Codec, 5> kCodecsAndNone{Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd};
constexpr std::string_view kText = "chronik chronik chronik chronik chronik!";

using Bytes = std::vector<std::uint8_t>;

Bytes bytes_of(ByteSpan span) { return {span.begin(), span.end()}; }

// From gzip of Python, lz4 and zstd's own tools; snappy by hand: 40, literal "chronik ", copy 31 from 8 back, literal
// "!".
// clang-format off
const Bytes kGzipText{
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x4b, 0xce, 0x28, 0xca, 0xcf, 0xcb,
    0xcc, 0x56, 0x48, 0xc6, 0x4f, 0x2b, 0x02, 0x00, 0x0e, 0x65, 0xd0, 0x6f, 0x28, 0x00, 0x00, 0x00};
const Bytes kRawSnappyText{40, 0x1c, 'c', 'h', 'r', 'o', 'n', 'i', 'k', ' ', 0x7a, 0x08, 0x00, 0x00, '!'};
const Bytes kXerialSnappyText{
    0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1,
    0, 0, 0, 15, 40, 0x1c, 'c', 'h', 'r', 'o', 'n', 'i', 'k', ' ', 0x7a, 0x08, 0x00, 0x00, '!'};
const Bytes kLz4Text{
    0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 0x12, 0x00, 0x00, 0x00, 0x8f, 0x63, 0x68, 0x72, 0x6f, 0x6e,
    0x69, 0x6b, 0x20, 0x08, 0x00, 0x08, 0x50, 0x6f, 0x6e, 0x69, 0x6b, 0x21, 0x00, 0x00, 0x00, 0x00};
const Bytes kZstdText{
    0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58, 0x7d, 0x00, 0x00, 0x48, 0x63, 0x68,
    0x72, 0x6f, 0x6e, 0x69, 0x6b, 0x20, 0x21, 0x01, 0x00, 0x6b, 0x0a, 0x17};
const Bytes kSizedZstdText{
    0x28, 0xb5, 0x2f, 0xfd, 0x24, 0x28, 0x7d, 0x00, 0x00, 0x48, 0x63, 0x68, 0x72, 0x6f,
    0x6e, 0x69, 0x6b, 0x20, 0x21, 0x01, 0x00, 0x6b, 0x0a, 0x17, 0x26, 0x96, 0xb9, 0x90};
// clang-format on

struct Sample {
  Codec codec;
  Bytes bytes;
};
const std::vector<Sample>& samples() {
  static const std::vector<Sample> all{{Codec::kGzip, kGzipText},           {Codec::kSnappy, kRawSnappyText},
                                       {Codec::kSnappy, kXerialSnappyText}, {Codec::kLz4, kLz4Text},
                                       {Codec::kZstd, kZstdText},           {Codec::kZstd, kSizedZstdText}};
  return all;
}

TEST(Decompression, ReadsWhatOtherProgramsWrote) {
  Codecs codecs;
  for (const Sample& sample : samples()) {
    const StatusOr<Slice> text = codecs.decompress(sample.codec, sample.bytes, kOutputLimit);
    ASSERT_TRUE(text.ok()) << codec_name(sample.codec) << ": " << text.status();
    EXPECT_EQ(text->text(), kText) << codec_name(sample.codec);
  }
}

TEST(Decompression, EveryTruncationIsRefused) {
  Codecs codecs;
  for (const Sample& sample : samples()) {
    for (std::size_t size = 0; size < sample.bytes.size(); ++size) {
      if (sample.bytes == kXerialSnappyText && size == 16) {
        continue;  // a header and no blocks: frames of nothing
      }
      const StatusOr<Slice> text = codecs.decompress(sample.codec, ByteSpan(sample.bytes).first(size), kOutputLimit);
      EXPECT_TRUE(absl::IsDataLoss(text.status())) << codec_name(sample.codec) << " cut to " << size;
    }
  }
}

TEST(Decompression, EverySingleByteChangeIsDecodedOrRefusedWithinTheLimit) {
  Codecs codecs;
  for (const Sample& sample : samples()) {
    for (std::size_t at = 0; at < sample.bytes.size(); ++at) {
      for (int value = 0; value < 256; ++value) {
        Bytes changed = sample.bytes;
        changed[at] = static_cast<std::uint8_t>(value);
        const StatusOr<Slice> text = codecs.decompress(sample.codec, changed, 1000);
        EXPECT_TRUE(text.ok() ? text->size() <= 1000
                              : absl::IsDataLoss(text.status()) || absl::IsResourceExhausted(text.status()));
      }
    }
  }
}

TEST(Decompression, BytesBehindTheEndAreRefused) {
  Codecs codecs;
  for (const Sample& sample : samples()) {
    Bytes longer = sample.bytes;
    longer.insert(longer.end(), {'j', 'u', 'n', 'k', '!'});
    EXPECT_TRUE(absl::IsDataLoss(codecs.decompress(sample.codec, longer, kOutputLimit).status()))
        << codec_name(sample.codec);
  }
}

TEST(Decompression, PiecesOneAfterAnotherAreOneWhereTheFormatAllowsIt) {
  Codecs codecs;
  for (const Sample& sample : samples()) {
    if (sample.bytes == kRawSnappyText) {
      continue;
    }
    Bytes twice = sample.bytes;
    twice.insert(twice.end(), sample.bytes.begin(), sample.bytes.end());
    const StatusOr<Slice> text = codecs.decompress(sample.codec, twice, kOutputLimit);
    ASSERT_TRUE(text.ok()) << codec_name(sample.codec);
    EXPECT_EQ(text->text(), std::string(kText) + std::string(kText));
  }
}

TEST(Decompression, TheLimitIsExact) {
  Codecs codecs;
  for (const Sample& sample : samples()) {
    EXPECT_TRUE(codecs.decompress(sample.codec, sample.bytes, kText.size()).ok());
    EXPECT_TRUE(absl::IsResourceExhausted(codecs.decompress(sample.codec, sample.bytes, kText.size() - 1).status()))
        << codec_name(sample.codec);
  }
}

TEST(Compression, EverySizeComesBack) {
  Codecs codecs;
  for (const Codec codec : kRealCodecs) {
    for (const std::size_t size : {0u, 1u, 100u, 32'767u, 32'768u, 32'769u, 65'536u, 300'000u}) {
      Bytes bytes(size);
      for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<std::uint8_t>(i * i / 7);
      }
      for (const SnappyFraming framing : {SnappyFraming::kRaw, SnappyFraming::kXerial}) {
        const Bytes compressed = bytes_of(codecs.compress(codec, bytes, framing));
        const StatusOr<Slice> back = codecs.decompress(codec, compressed, kOutputLimit);
        ASSERT_TRUE(back.ok()) << codec_name(codec) << " " << size << ": " << back.status();
        EXPECT_EQ(bytes_of(back->bytes()), bytes);
      }
    }
  }
}

TEST(Compression, SnappyIsFramedAsTheCallerAsks) {
  Codecs codecs;
  EXPECT_EQ(bytes_of(codecs.compress(Codec::kSnappy, as_bytes(kText), SnappyFraming::kXerial))[0], 0x82);
  EXPECT_EQ(bytes_of(codecs.compress(Codec::kSnappy, as_bytes(kText), SnappyFraming::kRaw))[0], kText.size());
}

// A quarter of a gigabyte of zeros in each codec, made once.
Bytes bomb(Codec codec) {
  constexpr std::size_t kPieceBytes = std::size_t{32} << 20;
  Codecs codecs;
  const Bytes zeros(kPieceBytes);
  const Bytes piece = bytes_of(codecs.compress(codec, zeros));
  Bytes whole;
  for (int i = 0; i < 8; ++i) {
    whole.insert(whole.end(), piece.begin(), piece.end());
  }
  return whole;
}

TEST(Decompression, ABombIsRefusedAfterTheLimitsBytes) {
  for (const Codec codec : kRealCodecs) {
    const Bytes compressed = bomb(codec);
    Codecs codecs;
    Decompressor& stream = codecs.decompressor(codec);
    stream.start(compressed, kOutputLimit);
    StreamSource source(stream, codecs.chunk(), kOutputLimit);
    ByteSpan ignored;
    EXPECT_FALSE(source.skip(std::size_t{1} << 40, ignored));
    EXPECT_EQ(source.defect(), BatchDefect::kDecompressedTooBig) << codec_name(codec);
    stream.finish();
    EXPECT_TRUE(absl::IsResourceExhausted(codecs.decompress(codec, compressed, kOutputLimit).status()))
        << codec_name(codec);
  }
}

TEST(Decompression, RawSnappyThatPromisesMoreThanItsBytesCanGiveIsRefusedBeforeAllocating) {
  Codecs codecs;
  const Bytes promises_4_gigabytes{0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 'x'};
  EXPECT_TRUE(absl::IsDataLoss(codecs.decompress(Codec::kSnappy, promises_4_gigabytes, std::size_t{1} << 40).status()));
}

TEST(Decompression, AnXerialFrameWithAnImpossibleBlockLengthIsRefused) {
  Codecs codecs;
  for (const std::uint8_t first : std::to_array<std::uint8_t>({0x80, 0x7f, 0xff})) {
    Bytes changed = kXerialSnappyText;
    changed[16] = first;
    EXPECT_TRUE(absl::IsDataLoss(codecs.decompress(Codec::kSnappy, changed, kOutputLimit).status()));
  }
}

TEST(Decompression, AStreamGivesTheSameBytesThroughAnySizeOfWindow) {
  Codecs codecs;
  Bytes bytes(100'000);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>((i / 300) ^ (i * 7));
  }
  for (const Codec codec : kRealCodecs) {
    const Bytes compressed = bytes_of(codecs.compress(codec, bytes));
    for (const std::size_t window : {1u, 7u, 4096u, 99'999u, 100'000u, 200'000u}) {
      Decompressor& stream = codecs.decompressor(codec);
      stream.start(compressed, kOutputLimit);
      Bytes out(window);
      Bytes all;
      Decompressor::Progress progress;
      while (progress.state == Decompressor::State::kMore) {
        progress = stream.read(out);
        all.insert(all.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(progress.bytes));
      }
      EXPECT_EQ(progress.state, Decompressor::State::kEnd) << codec_name(codec) << " " << window;
      EXPECT_EQ(all, bytes) << codec_name(codec) << " " << window;
      stream.finish();
    }
  }
}

TEST(Compression, StopsAtItsLimit) {
  Codecs codecs;
  Bytes bytes(300'000);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>((i * i) >> 7);
  }
  for (const SnappyFraming framing : {SnappyFraming::kXerial, SnappyFraming::kRaw}) {
    for (const Codec codec : kCodecsAndNone) {
      const Bytes whole = bytes_of(codecs.compress(codec, bytes, framing));
      for (const std::size_t less : {std::size_t{1}, whole.size() / 2, whole.size()}) {
        EXPECT_FALSE(codecs.compress_within(whole.size() - less, codec, bytes, framing).has_value())
            << codec_name(codec) << " " << less;
      }
      const std::optional<ByteSpan> fits = codecs.compress_within(bytes.size() * 2, codec, bytes, framing);
      ASSERT_TRUE(fits.has_value());
      EXPECT_EQ(bytes_of(*fits), whole) << codec_name(codec);
    }
  }
}

}  // namespace
}  // namespace chronik::protocol
