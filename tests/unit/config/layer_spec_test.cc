// SPDX-License-Identifier: Apache-2.0
#include "config/layer_spec.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace s3overlay {
namespace {

TEST(LayerSpecs, AnS3PrefixLosesItsSlashes) {
  for (const char* const text : {"s3://bucket/a/b", "s3://bucket/a/b/"}) {
    const Result<LayerSpec> layer = ParseLayerSpec(text);
    ASSERT_TRUE(layer) << text;
    EXPECT_TRUE(layer->is_s3);
    EXPECT_EQ(layer->bucket, "bucket");
    EXPECT_EQ(layer->prefix, "a/b");
    EXPECT_EQ(layer->at, "");
  }
  for (const char* const text : {"s3://bucket", "s3://bucket/"}) {
    const Result<LayerSpec> layer = ParseLayerSpec(text);
    ASSERT_TRUE(layer) << text;
    EXPECT_EQ(layer->prefix, "");
  }
}

TEST(LayerSpecs, OnlyWhatIsNoSpecYetIsSplitAtEquals) {
  const Result<LayerSpec> hive = ParseLayerSpec("s3://bucket/day=1/x=y");
  ASSERT_TRUE(hive);
  EXPECT_EQ(hive->prefix, "day=1/x=y");
  for (const char* const text : {"/data/a=b", "./a=b", "../a=b"}) {
    const Result<LayerSpec> layer = ParseLayerSpec(text);
    ASSERT_TRUE(layer) << text;
    EXPECT_FALSE(layer->is_s3);
    EXPECT_EQ(layer->at, "") << text;
    EXPECT_TRUE(layer->directory.ends_with("/a=b")) << layer->directory;
  }
  const Result<LayerSpec> placed = ParseLayerSpec("deep/models=s3://bucket/day=1");
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->at, "deep/models");
  EXPECT_EQ(placed->prefix, "day=1");
}

TEST(LayerSpecs, DirectoriesBecomeAbsolute) {
  const Result<LayerSpec> layer = ParseLayerSpec("some/dir/../dir/");
  ASSERT_TRUE(layer);
  EXPECT_EQ(layer->directory, (std::filesystem::current_path() / "some/dir").string());
}

TEST(LayerSpecs, WhatIsNoLayerIsRefused) {
  for (const char* const text : {"", "s3://", "s3:///key", "sub=", "../up=s3://bucket", "a/../b=/data"}) {
    const Result<LayerSpec> layer = ParseLayerSpec(text);
    ASSERT_FALSE(layer) << text;
    EXPECT_EQ(layer.error().code, ErrorCode::kInvalidArgument) << text;
  }
}

TEST(LayerSpecs, AUriKeepsItsKeyByteForByte) {
  const Result<S3Uri> uri = ParseS3Uri("s3://bucket//odd/ key=%20/");
  ASSERT_TRUE(uri);
  EXPECT_EQ(uri->bucket, "bucket");
  EXPECT_EQ(uri->key, "/odd/ key=%20/");
  EXPECT_FALSE(ParseS3Uri("/bucket/key"));
}

TEST(LayerSpecs, APlaceStaysBelowTheMountpoint) {
  EXPECT_EQ(*ParseSubPath("/a/b/"), "a/b");
  for (const char* const text : {"..", "a/..", "./a", "a//b"}) EXPECT_FALSE(ParseSubPath(text)) << text;
}

TEST(LayerSpec, AUrlIsNeverSplitNorRepeatedWithItsSecrets) {
  for (const char* url : {"https://store/b/k?X-Amz-Signature=MARK", "https://user:MARK@store/k?a=b"}) {
    const Result<LayerSpec> layer = ParseLayerSpec(url);
    ASSERT_FALSE(layer);
    EXPECT_NE(layer.error().message.find("a layer is s3://bucket"), std::string::npos) << layer.error().message;
    EXPECT_EQ(layer.error().message.find("MARK"), std::string::npos) << layer.error().message;
  }
  EXPECT_EQ(ParseLayerSpec("sub=s3://b/p")->at, "sub");
}

}  // namespace
}  // namespace s3overlay
