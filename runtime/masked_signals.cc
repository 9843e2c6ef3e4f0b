#include "runtime/masked_signals.h"

#include <pthread.h>

#include "core/base/check.h"

namespace chronik::runtime {

MaskedSignals::MaskedSignals() {
  sigset_t all;
  ::sigfillset(&all);
  CHECK_EQ(::pthread_sigmask(SIG_SETMASK, &all, &before_), 0);
}

MaskedSignals::~MaskedSignals() { CHECK_EQ(::pthread_sigmask(SIG_SETMASK, &before_, nullptr), 0); }

}  // namespace chronik::runtime
