#include "core/log/file_cache.h"

#include <gtest/gtest.h>

#include "tests/core/log/log_harness.h"

namespace chronik::log {
namespace {

using testing::LogNode;

TEST(FileCache, ClosesWhatWasLongestUnused) {
  sim::DiskModel model(1 << 20);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    FileCache cache(n.disk, 2);
    const StatusOr<FileRef> a = cache.create("a", n.soon());
    const StatusOr<FileRef> b = cache.create("b", n.soon());
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(cache.open("a", n.soon())->get(), a->get());
    ASSERT_TRUE(cache.create("c", n.soon()).ok());
    EXPECT_EQ(cache.size(), 2u);
    EXPECT_EQ(cache.open("a", n.soon())->get(), a->get());
    EXPECT_NE(cache.open("b", n.soon())->get(), b->get());
    EXPECT_EQ(cache.size(), 2u);
  });
}

TEST(FileCache, AFileMadeAnewUnderItsNameIsEmptyAndOneThatIsForgottenIsOpenedAgain) {
  sim::DiskModel model(1 << 20);
  LogNode node(model, 1);
  node.run([](LogNode& n) {
    FileCache cache(n.disk, 2);
    const StatusOr<FileRef> first = cache.create("a", n.soon());
    ASSERT_TRUE(first.ok());
    FileBatch write;
    write.writes.push_back({.offset = 0, .parts = {Slice::copy_of(std::string_view("text"))}});
    ASSERT_TRUE((*first)->file->run(std::move(write), n.soon()).ok());
    const StatusOr<FileRef> anew = cache.create("a", n.soon());
    ASSERT_TRUE(anew.ok());
    EXPECT_EQ(*(*anew)->file->size(n.soon()), 0u);
    cache.forget("a");
    EXPECT_EQ(cache.size(), 0u);
    EXPECT_NE(cache.open("a", n.soon())->get(), anew->get());
    EXPECT_EQ(cache.size(), 1u);
  });
}

}  // namespace
}  // namespace chronik::log
