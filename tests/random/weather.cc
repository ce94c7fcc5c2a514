// SPDX-License-Identifier: Apache-2.0
#include "random/weather.h"

#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace s3overlay::testing {
namespace {

using std::chrono::milliseconds;

constexpr char kElsewhere[] = "/elsewhere";

// Each of these changes an answer so that it must be refused, or delivers less of it.
void LieAboutRange(HttpMessage& answer) {
  if (answer.Status() == 206) answer.Set("Content-Range", "bytes 0-99/100");
}

void ShiftRange(HttpMessage& answer) {
  const std::string* const range = answer.Find("Content-Range");
  if (range == nullptr) return;
  const size_t dash = range->find('-');
  const size_t slash = range->find('/');
  if (dash == std::string::npos || slash == std::string::npos || range->size() < 7) return;
  const uint64_t first = std::strtoull(range->c_str() + 6, nullptr, 10);
  const uint64_t last = std::strtoull(range->c_str() + dash + 1, nullptr, 10);
  answer.Set("Content-Range", fmt::format("bytes {}-{}{}", first + 8, last + 8, range->substr(slash)));
}

void ChangeEtag(HttpMessage& answer) {
  if (answer.Status() == 206) answer.Set("ETag", "\"0123456789abcdef0123456789abcdef\"");
}

void ShortenBody(HttpMessage& answer) {
  if (answer.Status() == 206) answer.body.resize(answer.body.size() / 2);
}

// The headers of the bytes, and a document in their place.
void PutDocument(HttpMessage& answer) {
  if (answer.Status() != 206) return;
  answer.body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>InternalError</Code></Error>";
}

// The same with a good status, as some proxies answer.
void PutDocumentAsWhole(HttpMessage& answer) {
  if (answer.Status() != 206) return;
  PutDocument(answer);
  answer.start_line = "HTTP/1.1 200 OK";
  answer.Remove("Content-Range");
}

void CutDocument(HttpMessage& answer) {
  if (answer.body.starts_with("<?xml")) answer.body.resize(answer.body.size() / 2);
}

// For `false_length`: the bytes are right, and what the headers say of their number is not.
void ClaimOneMore(HttpMessage& answer) { answer.Set("Content-Length", std::to_string(answer.body.size() + 1)); }

void ClaimHalf(HttpMessage& answer) { answer.Set("Content-Length", std::to_string(answer.body.size() / 2)); }

// Where redirects lead: all is well there, and nothing exists.
HttpMessage EmptyStore() {
  return {.start_line = "HTTP/1.1 200 OK",
          .headers = {{"Content-Type", "application/xml"}},
          .body =
              "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult><IsTruncated>false</IsTruncated>"
              "</ListBucketResult>"};
}

}  // namespace

Weather::Weather(FaultProxy& proxy, Findings& findings, std::mt19937_64& random)
    : proxy_(proxy), findings_(findings), random_(random) {}

void Weather::Blow() {
  if (Below(8) == 0) {
    TakeStoreAway();
  } else {
    AddRules();
  }
  Last(milliseconds(Below(4) == 0 ? 2500 : 600));
}

void Weather::TakeStoreAway() {
  const std::array<FaultProxy::Store, 3> ways = {FaultProxy::Store::kRefused, FaultProxy::Store::kHangsUp,
                                                 FaultProxy::Store::kSilent};
  const size_t way = Below(ways.size());
  findings_.NoteAll("weather", fmt::format("the store is away, way {}", way));
  proxy_.SetStore(ways.at(way));
}

void Weather::AddRules() {
  proxy_.AddRule({.target_part = kElsewhere, .fault = {.answer = EmptyStore()}});
  for (uint64_t rules = 1 + Below(4); rules > 0; --rules) proxy_.AddRule(RandomRule());
}

void Weather::Last(milliseconds longest) {
  std::this_thread::sleep_for(milliseconds(Below(static_cast<uint64_t>(longest.count()))));
  Clear();
  std::this_thread::sleep_for(milliseconds(Below(400)));
  proxy_.Release();  // What met the fault just before its end.
}

void Weather::Clear() {
  proxy_.ClearRules();
  proxy_.SetStore(FaultProxy::Store::kUp);
  proxy_.Release();
  findings_.NoteAll("weather", "fair");
}

FaultRule Weather::RandomRule() {
  const std::array<const char*, 4> operations = {"GET", "GET", "", "LIST"};
  FaultRule rule{.operation = operations.at(Below(operations.size())), .fault = RandomFault()};
  // The first rule that matches is the one: mostly it is used up soon, and the next one has its turn.
  if (Below(4) != 0) rule.count = static_cast<int>(1 + Below(8));
  return rule;
}

Fault Weather::RandomFault() {
  const uint64_t dice = Below(12);
  if (dice < 4) return WrongContent();
  if (dice < 6) return Refusal();
  if (dice < 8) return BrokenOff();
  if (dice < 9) return WrongLength();
  return Slowness();
}

Fault Weather::WrongContent() {
  struct NamedRewrite {
    const char* name;
    void (*rewrite)(HttpMessage& answer);
  };
  constexpr std::array<NamedRewrite, 7> kRewrites = {{{"a wrong range", LieAboutRange},
                                                      {"a shifted range", ShiftRange},
                                                      {"another ETag", ChangeEtag},
                                                      {"a short body", ShortenBody},
                                                      {"a document for data", PutDocument},
                                                      {"a document as the whole object", PutDocumentAsWhole},
                                                      {"a listing cut short", CutDocument}}};
  const NamedRewrite& rewrite = kRewrites.at(Below(kRewrites.size()));
  findings_.NoteAll("weather", rewrite.name);
  return {.rewrite = rewrite.rewrite};
}

Fault Weather::WrongLength() {
  const bool is_more = Below(2) == 0;
  findings_.NoteAll("weather", is_more ? "a length of one byte more" : "a length of half the bytes");
  return {.rewrite = is_more ? ClaimOneMore : ClaimHalf, .false_length = true};
}

Fault Weather::Refusal() {
  constexpr std::array<std::pair<const char*, const char*>, 7> kAnswers = {
      {{"503 Slow Down", "SlowDown"},
       {"500 Internal Server Error", "InternalError"},
       {"503 Service Unavailable", "ServiceUnavailable"},
       {"429 Too Many Requests", "TooManyRequests"},
       {"403 Forbidden", "AccessDenied"},
       {"301 Moved Permanently", "PermanentRedirect"},
       {"307 Temporary Redirect", "TemporaryRedirect"}}};
  constexpr std::array<const char*, 4> kPauses = {"0", "1", "3600", "soon"};  // What servers send, and should not.
  const auto& [status, code] = kAnswers.at(Below(kAnswers.size()));
  Fault fault{.answer = S3ErrorAnswer(status, code)};
  if (std::string_view(code).ends_with("Redirect")) fault.answer->Set("Location", kElsewhere);
  const char* const pause = Below(2) == 0 ? kPauses.at(Below(kPauses.size())) : nullptr;
  if (pause != nullptr) fault.answer->Set("Retry-After", pause);
  findings_.NoteAll("weather", pause == nullptr ? status : fmt::format("{}, Retry-After: {}", status, pause));
  return fault;
}

Fault Weather::BrokenOff() {
  constexpr std::array<const char*, 3> kWays = {"FIN", "RST", "half of it"};
  const uint64_t way = Below(kWays.size());
  const uint64_t after = Below(400'000);
  findings_.NoteAll("weather", fmt::format("cut after {} by {}", after, kWays.at(way)));
  return {.cut_after = after, .reset = way == 1, .half_close = way == 2};
}

Fault Weather::Slowness() {
  const uint64_t dice = Below(3);
  if (dice == 0) {
    const uint64_t after = Below(400'000);
    findings_.NoteAll("weather", fmt::format("stalled after {}", after));
    return {.stall_after = after};
  }
  if (dice == 1) {
    const uint64_t rate = 500 + Below(200'000);  // Fewer bytes a second than the client puts up with, or some more.
    findings_.NoteAll("weather", fmt::format("{} bytes a second", rate));
    return {.bytes_per_second = rate};
  }
  const milliseconds delay(Below(900));
  findings_.NoteAll("weather", fmt::format("{} ms late", delay.count()));
  return {.delay = delay};
}

}  // namespace s3overlay::testing
