// SPDX-License-Identifier: Apache-2.0
#include "http/curl_transport.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

#include "http/reception.h"
#include "s3overlay/redact.h"

namespace s3overlay {
namespace {

constexpr Duration kLongestPoll = std::chrono::milliseconds(100);
constexpr long kReceiveBufferBytes = 512 * 1024;
constexpr long kConnectionsOfHandle = 1;  // The one that IsQuiet looks at.

// "GET https://host/path".
std::string DescribeRequest(const HttpRequest& request) {
  return fmt::format("{} {}", request.method, RedactUrl(request.url));
}

bool IsOneLine(std::string_view text) { return text.find_first_of(std::string_view("\r\n\0", 3)) == text.npos; }

Result<void> CheckRequest(const HttpRequest& request) {
  const std::string& method = request.method;
  if (method != "GET" && method != "HEAD" && method != "PUT") {
    return Error{ErrorCode::kInvalidArgument, fmt::format("HTTP method {} is not offered", method)};
  }
  if (!request.url.starts_with("http://") && !request.url.starts_with("https://")) {
    return Error{ErrorCode::kInvalidArgument,
                 DescribeRequest(request) + ": the URL must start with http:// or https://"};
  }
  for (const HttpHeader& header : request.headers) {
    if (header.name.empty() || !IsOneLine(header.name) || !IsOneLine(header.value)) {
      return Error{ErrorCode::kInvalidArgument, DescribeRequest(request) + ": a header is not one line of text"};
    }
  }
  return {};
}

ErrorCode CodeOf(CURLcode code) {
  switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ISSUER_ERROR: return ErrorCode::kMisconfigured;
    case CURLE_URL_MALFORMAT:
    case CURLE_LOGIN_DENIED: return ErrorCode::kInvalidArgument;
    default: return ErrorCode::kUnavailable;
  }
}

std::string_view AdviceFor(ErrorCode code) {
  if (code != ErrorCode::kMisconfigured) return "";
  return "; --ca-bundle FILE names the certificate authorities to trust";
}

class HeaderList {
 public:
  HeaderList() = default;
  ~HeaderList() { curl_slist_free_all(list_); }
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;

  void Append(const std::string& line) {
    curl_slist* const longer = curl_slist_append(list_, line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    list_ = longer;
  }
  void AppendHeader(const HttpHeader& header) {
    // "Name:" alone would tell curl to drop the header; with a semicolon it is sent empty.
    Append(header.value.empty() ? header.name + ";" : header.name + ": " + header.value);
  }
  curl_slist* get() const { return list_; }

 private:
  curl_slist* list_ = nullptr;
};

// A count other than the one given tells curl to break off and to close the connection. Curl never passes as many
// bytes as kRefused says, for its buffer is far smaller.
constexpr size_t kRefused = static_cast<size_t>(-1);

size_t OnHeaderLine(char* data, size_t size, size_t count, void* reception) {
  const std::string_view line(data, size * count);
  return static_cast<Reception*>(reception)->TakeHeaderLine(line) ? line.size() : kRefused;
}

size_t OnBody(char* data, size_t size, size_t count, void* reception) {
  const auto bytes = std::as_bytes(std::span(data, size * count));
  return static_cast<Reception*>(reception)->TakeBody(bytes) ? bytes.size() : kRefused;
}

}  // namespace

class CurlTransport::Share {
 public:
  Share() : share_(Init()) {
    if (share_ == nullptr) throw std::bad_alloc();
    curl_share_setopt(share_, CURLSHOPT_USERDATA, this);
    curl_share_setopt(share_, CURLSHOPT_LOCKFUNC, &Share::Lock);
    curl_share_setopt(share_, CURLSHOPT_UNLOCKFUNC, &Share::Unlock);
    // And no names: all connections would go to whichever of a store's addresses was drawn first.
    curl_share_setopt(share_, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  }
  ~Share() { curl_share_cleanup(share_); }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

  CURLSH* get() const { return share_; }

 private:
  // The global state is counted, and never let go: a thread of curl's that still waits for a name server may outlive
  // the transport.
  static CURLSH* Init() { return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_share_init() : nullptr; }

  static Mutex& MutexOf(void* share, curl_lock_data kind) {
    return static_cast<Share*>(share)->mutexes_.at(static_cast<size_t>(kind));
  }
  // Curl pairs these itself, across its own functions.
  static void Lock(CURL*, curl_lock_data kind, curl_lock_access, void* share) S3OVERLAY_NO_THREAD_SAFETY_ANALYSIS {
    MutexOf(share, kind).Lock();
  }
  static void Unlock(CURL*, curl_lock_data kind, void* share) S3OVERLAY_NO_THREAD_SAFETY_ANALYSIS {
    MutexOf(share, kind).Unlock();
  }

  CURLSH* const share_;
  std::array<Mutex, CURL_LOCK_DATA_LAST> mutexes_;
};

// An easy handle in a multi handle of its own: waiting in short polls is what makes cancellation prompt, since curl's
// blocking call looks up only about once a second. The multi handle owns the connections.
class CurlTransport::Handle {
 public:
  explicit Handle(const Share& share) : multi_(curl_multi_init()), easy_(curl_easy_init()), share_(share) {
    if (multi_ == nullptr || easy_ == nullptr) {
      Free();
      throw std::bad_alloc();
    }
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, kConnectionsOfHandle);
  }
  ~Handle() { Free(); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  Result<void> Run(const HttpRequest& request, const CurlTransportOptions& options, Reception& reception,
                   const CallContext& context, const Clock& clock) {
    HeaderList headers;
    SetUp(options, reception);
    SetRequest(request, headers);
    if (curl_multi_add_handle(multi_, easy_) != CURLM_OK) throw std::bad_alloc();
    Result<void> result = Drive(request, context, clock);
    socket_ = CURL_SOCKET_BAD;
    curl_easy_getinfo(easy_, CURLINFO_ACTIVESOCKET, &socket_);  // Not known any more once it is removed.
    curl_multi_remove_handle(multi_, easy_);
    return result;
  }

  // Whether nothing has come on the idle connection. What follows an answer would be taken for the answer to the next
  // request; and the peer's end shows in the same way. Of https this sees what has not been decrypted yet.
  bool IsQuiet() const {
    if (socket_ == CURL_SOCKET_BAD) return true;
    pollfd waiting{.fd = socket_, .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, 0) == 0;
  }

 private:
  template <typename Value>
  void Set(CURLoption option, Value value) {
    curl_easy_setopt(easy_, option, value);
  }

  void SetUp(const CurlTransportOptions& options, Reception& reception) {
    curl_easy_reset(easy_);  // Options only: connections stay.
    SetLimits(options);
    if (!options.ca_bundle.empty()) Set(CURLOPT_CAINFO, options.ca_bundle.c_str());
    Set(CURLOPT_SHARE, share_.get());
    Set(CURLOPT_NOSIGNAL, 1L);
    Set(CURLOPT_QUICK_EXIT, 1L);             // Giving up does not wait for a name server that is dead.
    Set(CURLOPT_DNS_SHUFFLE_ADDRESSES, 1L);  // Stores answer from many; each connection draws its own.
    Set(CURLOPT_PATH_AS_IS, 1L);             // A key may hold "/../".
    Set(CURLOPT_FOLLOWLOCATION, 0L);
    Set(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    Set(CURLOPT_PROTOCOLS_STR, "http,https");
    Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    Set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);  // A proxy's answer is not the store's.
    Set(CURLOPT_USERAGENT, options.user_agent.c_str());
    Set(CURLOPT_HEADERFUNCTION, &OnHeaderLine);
    Set(CURLOPT_HEADERDATA, &reception);
    Set(CURLOPT_WRITEFUNCTION, &OnBody);
    Set(CURLOPT_WRITEDATA, &reception);
    error_text_[0] = '\0';
    Set(CURLOPT_ERRORBUFFER, error_text_.data());
  }

  void SetLimits(const CurlTransportOptions& options) {
    using std::chrono::ceil, std::chrono::milliseconds, std::chrono::seconds;
    Set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(ceil<milliseconds>(options.connect_timeout).count()));
    Set(CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(options.min_bytes_per_second));
    Set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(ceil<seconds>(options.low_rate_window).count()));
    Set(CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
    Set(CURLOPT_TCP_NODELAY, 1L);
    Set(CURLOPT_TCP_KEEPALIVE, 1L);
  }

  void SetRequest(const HttpRequest& request, HeaderList& headers) {
    Set(CURLOPT_URL, request.url.c_str());
    if (request.method == "HEAD") Set(CURLOPT_NOBODY, 1L);
    if (request.method == "PUT") SetBody(request, headers);
    if (request.bypass_proxy) Set(CURLOPT_NOPROXY, "*");
    headers.Append("Accept:");  // Curl's own is of no use to a store.
    for (const HttpHeader& header : request.headers) headers.AppendHeader(header);
    Set(CURLOPT_HTTPHEADER, headers.get());
  }

  void SetBody(const HttpRequest& request, HeaderList& headers) {
    Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    Set(CURLOPT_POSTFIELDS, request.body.c_str());
    Set(CURLOPT_CUSTOMREQUEST, "PUT");
    headers.Append("Expect:");  // Else large bodies wait a second for a 100 that many servers never send.
    const auto is_content_type = [](const HttpHeader& header) {
      return curl_strequal(header.name.c_str(), "Content-Type");
    };
    if (std::none_of(request.headers.begin(), request.headers.end(), is_content_type)) headers.Append("Content-Type:");
  }

  Result<void> Drive(const HttpRequest& request, const CallContext& context, const Clock& clock) {
    while (true) {
      if (context.IsCancelled()) return Error{ErrorCode::kCancelled, DescribeRequest(request) + ": cancelled"};
      if (context.deadline.HasPassed(clock))
        return Error{ErrorCode::kTimedOut, DescribeRequest(request) + ": timed out"};
      int running = 0;
      if (curl_multi_perform(multi_, &running) != CURLM_OK) throw std::bad_alloc();
      if (running == 0) return Outcome(request);
      const Duration wait = std::min(kLongestPoll, context.deadline.Remaining(clock));
      const auto wait_ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
      curl_multi_poll(multi_, nullptr, 0, static_cast<int>(wait_ms), nullptr);
    }
  }

  Result<void> Outcome(const HttpRequest& request) {
    int left = 0;
    const CURLMsg* const message = curl_multi_info_read(multi_, &left);
    const CURLcode code = message != nullptr ? message->data.result : CURLE_RECV_ERROR;
    if (code == CURLE_OK) return {};
    // Curl quotes the URL of a proxy that it cannot use, with the password in it.
    const std::string_view detail = error_text_.data();
    const bool is_shown = !detail.empty() && detail.find('@') == std::string_view::npos;
    const std::string_view text = is_shown ? detail : curl_easy_strerror(code);
    const ErrorCode kind = CodeOf(code);
    return Error{kind, fmt::format("{}: {}{}", DescribeRequest(request), text, AdviceFor(kind))};
  }

  void Free() {
    if (easy_ != nullptr) curl_easy_cleanup(easy_);
    if (multi_ != nullptr) curl_multi_cleanup(multi_);
  }

  CURLM* const multi_;
  CURL* const easy_;
  const Share& share_;
  curl_socket_t socket_ = CURL_SOCKET_BAD;  // Of the connection that is kept open; nobody else closes it.
  std::array<char, CURL_ERROR_SIZE> error_text_{};
};

CurlTransport::CurlTransport(CurlTransportOptions options, const Clock& clock)
    : options_(std::move(options)), clock_(clock), share_(std::make_unique<Share>()) {}

CurlTransport::~CurlTransport() = default;

Result<HttpResponse> CurlTransport::Send(const HttpRequest& request, const HttpSink& sink, const CallContext& context) {
  S3OVERLAY_RETURN_IF_ERROR(CheckRequest(request));
  Reception reception(sink);
  std::unique_ptr<Handle> handle = TakeHandle();
  const Result<void> result = handle->Run(request, options_, reception, context, clock_);
  // Only a handle whose exchange ran to its end is used again, so that no half-read answer can meet the next request.
  if (std::optional<Error> error = reception.BreakOffError()) return *std::move(error);
  if (!result) return result.error();
  if (!reception.is_announced()) {
    return Error{ErrorCode::kUnavailable, DescribeRequest(request) + ": the server sent no answer"};
  }
  GiveBack(std::move(handle));
  return reception.TakeResponse();
}

std::unique_ptr<CurlTransport::Handle> CurlTransport::TakeHandle() {
  while (std::unique_ptr<Handle> handle = TakeIdle()) {
    if (handle->IsQuiet()) return handle;
  }
  return std::make_unique<Handle>(*share_);
}

std::unique_ptr<CurlTransport::Handle> CurlTransport::TakeIdle() {
  MutexLock lock(mu_);
  if (idle_.empty()) return nullptr;
  std::unique_ptr<Handle> handle = std::move(idle_.back());
  idle_.pop_back();
  return handle;
}

void CurlTransport::GiveBack(std::unique_ptr<Handle> handle) {
  MutexLock lock(mu_);
  if (idle_.size() < options_.max_idle_connections) idle_.push_back(std::move(handle));
}

}  // namespace s3overlay
