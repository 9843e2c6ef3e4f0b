// The one way for metadata to change: a pure function from an image and a command to the next image and a result.
//
// Every replica of the metadata log applies the same commands in the same order and gets the same image. So apply()
// reads nothing but its arguments, and a refused command is a result, never an error: it too moves the applied index.
#pragma once

#include "core/base/ids.h"
#include "core/cluster/command.h"
#include "core/cluster/image.h"
#include "core/cluster/result.h"

namespace chronik::cluster {

struct Applied {
  ImageRef image;
  CommandResult result;
};

// index: of the command in the log, above image->applied. A command whose proposal was applied before changes nothing
// and has the result of the first time.
Applied apply(const ImageRef& image, LogIndex index, const Command& command);

}  // namespace chronik::cluster
