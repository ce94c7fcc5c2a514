// SPDX-License-Identifier: Apache-2.0
#include "app/mount_app.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

#include "app/background.h"
#include "app/backing_depth.h"
#include "app/compose.h"
#include "app/detach.h"
#include "app/exit_code.h"
#include "app/mount_checks.h"
#include "app/mount_control.h"
#include "app/mount_probe.h"
#include "app/signal_watcher.h"
#include "config/mount_config.h"
#include "control/control_server.h"
#include "control/socket_path.h"
#include "fuse/session.h"
#include "s3overlay/log.h"
#include "s3overlay/mutex.h"

namespace s3overlay {
namespace {

// Each connection, each cached file and each passthrough file is a descriptor.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Half of what the process may open: a local file needs a descriptor to be read through the daemon, too.
size_t MaxBackingFiles(size_t otherwise) {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur / 2 : otherwise;
}

std::string SourceName(const MountConfig& config) {
  for (const LayerSpec& layer : config.layers) {
    if (layer.is_s3) return layer.text;
  }
  return config.layers.front().text;
}

FuseOptions SessionOptions(const MountConfig& config, const std::string& mountpoint, int lane_count) {
  FuseOptions options;
  options.mountpoint = mountpoint;
  options.source_name = SourceName(config);
  options.mount_options = config.mount_options;
  options.allow_other = config.allow_other;
  options.uid = config.ownership.uid;
  options.gid = config.ownership.gid;
  options.file_mode = config.ownership.file_mode;
  options.dir_mode = config.ownership.dir_mode;
  options.passthrough = config.passthrough;
  BackingDepth depth = FindBackingDepth(config, mountpoint);
  options.backing_stack_depth = depth.depth;
  options.backing_stack_reason = std::move(depth.reason);
  options.max_backing_files = MaxBackingFiles(options.max_backing_files);
  options.xattr = config.xattr;
  options.lane_count = lane_count;
  options.op_timeout = config.op_timeout;
  options.lookup_timeout = std::min(options.lookup_timeout, config.op_timeout);
  return options;
}

// The session, for whoever wants to end it: before it is there, while it runs, or when it has gone.
class SessionEnd {
 public:
  const std::atomic<bool>* requested() const { return &requested_; }

  void Request() S3OVERLAY_EXCLUDES(mu_) {
    requested_ = true;
    if (FuseSession* const session = Begin()) {
      session->Stop();
      Finish();
    }
  }

  // Null before it goes: waits for whoever is about to stop it.
  void Attach(FuseSession* session) S3OVERLAY_EXCLUDES(mu_) {
    {
      MutexLock lock(mu_);
      session_ = session;
      while (stopping_ > 0) stopped_.Wait(mu_);
    }
    if (session != nullptr && requested_) session->Stop();
  }

  // Whether the session's mount is still there to be detached. Never waits for a stop: that may be what hangs.
  bool IsStillMounted() S3OVERLAY_EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    return session_ != nullptr && session_->IsStillMounted();
  }

 private:
  FuseSession* Begin() S3OVERLAY_EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    if (session_ != nullptr) ++stopping_;
    return session_;
  }
  void Finish() S3OVERLAY_EXCLUDES(mu_) {
    const MutexLock lock(mu_);
    --stopping_;
    stopped_.SignalAll();
  }

  std::atomic<bool> requested_{false};
  Mutex mu_;
  CondVar stopped_;
  FuseSession* session_ S3OVERLAY_GUARDED_BY(mu_) = nullptr;
  int stopping_ S3OVERLAY_GUARDED_BY(mu_) = 0;  // Who is about to stop it.
};

// One mount, in the process that serves it.
class MountProcess {
 public:
  MountProcess(const MountConfig& config, std::string mountpoint, Background background)
      : config_(config), mountpoint_(std::move(mountpoint)), background_(std::move(background)) {}

  int Run();

 private:
  Result<void> Probe();
  Result<void> Serve();
  Result<void> ServeSession(FuseSession& session);
  std::unique_ptr<ControlServer> StartControl(RunningMount& control);
  void Announce(const FuseSession& session);
  void Warn(const std::string& message);
  [[noreturn]] void EndAtOnce();
  int Fail(const Error& error);

  const MountConfig& config_;
  const std::string mountpoint_;
  Background background_;
  SessionEnd end_;
  std::unique_ptr<RunningGraph> graph_;
};

int MountProcess::Run() {
  if (const auto logging = StartLogging(config_.log); !logging) return Fail(logging.error());
  RaiseDescriptorLimit();
  const SignalWatcher signals({.end = [this] { end_.Request(); }, .end_overdue = [this] { EndAtOnce(); }});
  auto graph = RunningGraph::Compose(config_, mountpoint_);
  if (!graph) return Fail(graph.error());
  graph_ = std::move(*graph);
  Result<void> outcome = Probe();
  if (outcome) outcome = Serve();
  const int exit_code = outcome ? kExitOk : Fail(outcome.error());
  graph_.reset();  // Before the watcher goes: it is what bounds the end.
  FlushLog();
  return exit_code;
}

Result<void> MountProcess::Probe() {
  const ProbeOptions options{.outage_is_error = config_.on_outage == OnOutage::kError, .cancelled = end_.requested()};
  const auto warnings = ProbeLayers(graph_->probe_targets(), options, graph_->clock());
  if (!warnings) return warnings.error();
  for (const std::string& warning : *warnings) Warn(warning);
  return {};
}

Result<void> MountProcess::Serve() {
  auto session = FuseSession::Mount(SessionOptions(config_, mountpoint_, graph_->lane_count()), graph_->overlay(),
                                    graph_->clock(), graph_->metrics());
  if (!session) return session.error();
  FuseSession& mounted = **session;
  end_.Attach(&mounted);
  graph_->store_return().Listen([&mounted] { mounted.InvalidateNotFresh(); });
  Result<void> outcome = ServeSession(mounted);
  graph_->store_return().Listen({});
  end_.Attach(nullptr);
  return outcome;
}

Result<void> MountProcess::ServeSession(FuseSession& session) {
  RunningMount control({.mountpoint = mountpoint_, .memory_limit = config_.memory_limit}, *graph_, session);
  const auto server = StartControl(control);
  std::thread announcer([&] { Announce(session); });
  Result<void> outcome = session.Run();
  announcer.join();
  log::Info("{} is unmounted", mountpoint_);
  return outcome;
}

// Without it the mount works, and only `status` and its like do not.
std::unique_ptr<ControlServer> MountProcess::StartControl(RunningMount& control) {
  auto server = ControlServer::Start(ControlSocketPath(mountpoint_), control, graph_->clock());
  if (server) return std::move(*server);
  Warn("status, resolve and cache will not reach this mount: " + server.error().message);
  return nullptr;
}

// Waits for the mount's first answer; one that is being ended answers with an error, and is no mount to announce.
void MountProcess::Announce(const FuseSession& session) {
  struct statfs space{};
  if (::statfs(mountpoint_.c_str(), &space) != 0) return;
  log::Info("{} is mounted, passthrough {}", mountpoint_,
            session.passthrough_on() ? "on" : "off: " + session.passthrough_reason());
  if (!background_.Succeed()) {
    log::Warning("the command that asked for this mount was given up: unmounting");
    end_.Request();
  }
}

// In the foreground without a file, the log is what the user sees already.
void MountProcess::Warn(const std::string& message) {
  log::Warning("{}", message);
  if (config_.log.to_syslog || !config_.log.file.empty()) {
    fmt::print(stderr, "s3overlay: warning: {}\n", EscapeControlCharacters(message));
  }
}

// Before the mount is there, and after it has gone, what lies at the mountpoint is another's.
void MountProcess::EndAtOnce() {
  log::Warning("{}: something would not end in time, it is given up", mountpoint_);
  FlushLog();
  if (end_.IsStillMounted()) (void)DetachMount(mountpoint_, DetachMode::kAtOnce);
  ::_exit(kExitOk);
}

int MountProcess::Fail(const Error& error) {
  if (config_.log.to_syslog || !config_.log.file.empty()) log::Error("{}", error.message);
  FlushLog();
  return background_.Fail(ExitCodeOf(error), error.message);
}

}  // namespace

int RunMount(const MountConfig& config) {
  auto mountpoint = PrepareMountpoint(config);
  if (!mountpoint) return ReportError(mountpoint.error());
  Background background;
  if (!config.foreground) {
    if (const auto exit_code = Background::Fork(&background)) return *exit_code;
  }
  return MountProcess(config, std::move(*mountpoint), std::move(background)).Run();
}

}  // namespace s3overlay
