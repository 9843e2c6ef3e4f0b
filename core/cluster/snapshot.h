// A whole image as bytes: equal bytes for equal images, and one image for each accepted byte sequence.
// Layout: docs/formats/metadata.md.
#pragma once

#include <string>

#include "core/base/slice.h"
#include "core/base/status.h"
#include "core/cluster/image.h"

namespace chronik::cluster {

std::string encode_snapshot(const Image& image);
// Total. kDataLoss: not what encode_snapshot() writes, or an image whose invariants do not hold. kFailedPrecondition:
// written by a newer version of the program.
StatusOr<ImageRef> decode_snapshot(ByteSpan bytes);

}  // namespace chronik::cluster
