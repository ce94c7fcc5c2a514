// SPDX-License-Identifier: Apache-2.0
//
// URLs and signatures, held to AWS's published examples and to botocore.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "s3/addressing.h"
#include "s3/dates.h"
#include "s3/request_signer.h"
#include "s3/uri.h"
#include "support/temp_dir.h"

namespace s3overlay::s3 {
namespace {

const Credentials kExample{.access_key = "AKIAIOSFODNN7EXAMPLE",
                           .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                           .session_token = {},
                           .expires_at = {},
                           .origin = {}};

std::string SignatureOf(const HttpRequest& request, const Credentials& credentials, std::string_view region,
                        std::string_view iso_time) {
  const Result<HttpRequest> done =
      SignRequest(request, credentials, {.region = region, .now = *ParseIsoDate(iso_time)});
  if (!done) return done.error().message;
  const std::string& value = done->headers.back().value;
  return value.substr(value.find("Signature=") + 10);
}

std::string ExampleSignature(std::string_view query, std::vector<HttpHeader> headers) {
  const HttpRequest request{.method = "GET",
                            .url = fmt::format("https://examplebucket.s3.amazonaws.com/{}", query),
                            .headers = std::move(headers),
                            .body = {}};
  return SignatureOf(request, kExample, "us-east-1", "2013-05-24T00:00:00Z");
}

TEST(RequestSigner, MatchesThePublishedExamples) {
  EXPECT_EQ(ExampleSignature("test.txt", {{"Range", "bytes=0-9"}}),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(ExampleSignature("?lifecycle", {}), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  EXPECT_EQ(ExampleSignature("?max-keys=2&prefix=J", {}),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
  EXPECT_EQ(ExampleSignature("?prefix=J&max-keys=2", {}),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
      << "the order in the URL is of no account";
}

TEST(RequestSigner, MatchesBotocoreOnOddKeys) {
  const std::vector<std::string> keys = {"plain.txt",
                                         "with space and+plus",
                                         "100%25 %",
                                         "d\xc3\xbcnn/\xe6\x97\xa5\xe6\x9c\xac.jsonl",
                                         "//two//slashes/",
                                         "~tilde-._(paren)!*'",
                                         "a=b&c=d?e#f;g:h@i,j$k[l]|m^n`o{p}<q>\"r\\s",
                                         "./../dots",
                                         "new\nline\ttab\x7f",
                                         std::string(1024, 'k')};
  const testing::TempDir dir;
  std::string input;
  for (const std::string& key : keys) {
    for (const char c : key) input += fmt::format("{:02x}", static_cast<unsigned char>(c));
    input += '\n';
  }
  const std::filesystem::path in = dir.Write("keys", input);
  const std::string command =
      fmt::format("python3 '{}' <'{}' >'{}'", S3OVERLAY_SIGN_WITH_BOTOCORE, in.string(), (dir / "out").string());
  const int status = std::system(command.c_str());
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "no botocore here";
  ASSERT_EQ(status, 0);

  const Credentials credentials{.access_key = "AKIDODDKEYS",
                                .secret_key = "secret/+=",
                                .session_token = "token==",
                                .expires_at = {},
                                .origin = {}};
  std::ifstream out(dir / "out");
  for (const std::string& key : keys) {
    std::string line;
    ASSERT_TRUE(std::getline(out, line));
    const Result<std::string> url = ObjectUrl("http://127.0.0.1:9000", Addressing::kAuto, "bucket", key);
    ASSERT_TRUE(url);
    EXPECT_EQ(*url, line.substr(0, line.find('\t')));
    const HttpRequest request{.method = "GET",
                              .url = *url + "?versionId=" + EncodeComponent("v+/ 1"),
                              .headers = {{"Range", "bytes=0-99"}, {"If-Match", "\"abc-1\""}},
                              .body = {}};
    EXPECT_EQ(SignatureOf(request, credentials, "eu-west-1", "2024-02-29T23:59:59Z"), line.substr(line.find('\t') + 1))
        << key;
  }
}

TEST(Uri, DecodesWhatListsEncode) {
  EXPECT_EQ(DecodeComponent("a+b%2Bc%20%e6%97%A5"), "a b+c \xe6\x97\xa5");
  EXPECT_EQ(DecodeComponent("%"), std::nullopt);
  EXPECT_EQ(DecodeComponent("%2"), std::nullopt);
  EXPECT_EQ(DecodeComponent("%zz"), std::nullopt);
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(DecodeComponent(EncodeComponent(all)), all);
}

TEST(Endpoint, IsBroughtIntoOneSpelling) {
  const auto normal = [](std::string_view text) {
    const Result<std::string> result = NormalizeEndpoint(text);
    return result ? *result : std::string(ErrorCodeName(result.error().code));
  };
  EXPECT_EQ(normal("s3.gra.io.cloud.OVH.net"), "https://s3.gra.io.cloud.ovh.net");
  EXPECT_EQ(normal("HTTPS://s3.example.com:443/"), "https://s3.example.com");
  EXPECT_EQ(normal("http://s3.example.com:80"), "http://s3.example.com");
  EXPECT_EQ(normal("http://s3.example.com:443"), "http://s3.example.com:443");
  EXPECT_EQ(normal("127.0.0.1:9000"), "https://127.0.0.1:9000");
  EXPECT_EQ(normal("http://[::1]:9000"), "http://[::1]:9000");
  EXPECT_EQ(normal("http://[::1]"), "http://[::1]");
  for (const char* bad :
       {"", "https://", "ftp://host", "http://host/bucket", "http://u:p@host", "http://host?x", "http://host:0",
        "http://host:65536", "http://host:x", "http://ho st", "http://[::1", "http://:9"}) {
    EXPECT_EQ(normal(bad), "invalid argument") << bad;
  }
  EXPECT_EQ(NormalizeEndpoint("http://u:secret@host").error().message.find("secret"), std::string::npos);
}

TEST(Addressing, IsVirtualOnlyWhereItIsSure) {
  const auto url = [](std::string_view endpoint, Addressing addressing, std::string_view bucket) {
    const Result<std::string> result = ObjectUrl(endpoint, addressing, bucket, "k/1");
    return result ? *result : std::string(ErrorCodeName(result.error().code));
  };
  constexpr std::string_view kAws = "https://s3.eu-west-1.amazonaws.com";
  EXPECT_EQ(url(kAws, Addressing::kAuto, "data"), "https://data.s3.eu-west-1.amazonaws.com/k/1");
  EXPECT_EQ(url(kAws, Addressing::kAuto, "da.ta"), "https://s3.eu-west-1.amazonaws.com/da.ta/k/1");
  EXPECT_EQ(url(kAws, Addressing::kAuto, "Data"), "https://s3.eu-west-1.amazonaws.com/Data/k/1");
  EXPECT_EQ(url(kAws, Addressing::kPath, "data"), "https://s3.eu-west-1.amazonaws.com/data/k/1");
  EXPECT_EQ(url("https://s3.gra.io.cloud.ovh.net", Addressing::kAuto, "data"),
            "https://s3.gra.io.cloud.ovh.net/data/k/1");
  EXPECT_EQ(url("http://localhost:9000", Addressing::kVirtual, "data"), "http://data.localhost:9000/k/1");
  EXPECT_EQ(url("http://localhost", Addressing::kVirtual, "a/b"), "invalid argument");
  EXPECT_EQ(url("http://localhost", Addressing::kPath, "a/b"), "http://localhost/a%2Fb/k/1");
  EXPECT_EQ(url("http://localhost", Addressing::kPath, ""), "invalid argument");
}

TEST(Dates, AreReadAndWritten) {
  const WallTime time = *ParseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(FormatIsoDate(time), "1994-11-06T08:49:37Z");
  EXPECT_EQ(FormatSigningTime(time), "19941106T084937Z");
  EXPECT_EQ(ParseIsoDate("1994-11-06T08:49:37.250Z"), time + std::chrono::milliseconds(250));
  for (const char* bad :
       {"", "Sun, 06 Nov 1994 08:49:37", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 XXX 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT"}) {
    EXPECT_FALSE(ParseHttpDate(bad)) << bad;
  }
  for (const char* bad : {"", "1994-11-06", "1994-11-06T08:49:37", "1994-11-06T08:49:37.Z", "1994-13-06T08:49:37Z",
                          "1994-11-06T08:49:37+01:00"}) {
    EXPECT_FALSE(ParseIsoDate(bad)) << bad;
  }
}

}  // namespace
}  // namespace s3overlay::s3
