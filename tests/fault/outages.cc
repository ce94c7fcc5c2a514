// SPDX-License-Identifier: Apache-2.0
#include "fault/outages.h"

#include <utility>

#include "support/mount/net_namespace.h"
#include "support/tls/tls_front.h"

namespace s3overlay::testing {
namespace {

class StoreOutage final : public Outage {
 public:
  StoreOutage(FaultProxy& proxy, FaultProxy::Store store) : proxy_(proxy), store_(store) {}
  void Begin() override { proxy_.SetStore(store_); }
  void End() override { proxy_.SetStore(FaultProxy::Store::kUp); }

 private:
  FaultProxy& proxy_;
  const FaultProxy::Store store_;
};

class AnswerOutage final : public Outage {
 public:
  AnswerOutage(FaultProxy& proxy, Fault fault) : proxy_(proxy), fault_(std::move(fault)) {}
  void Begin() override { proxy_.AddRule({.fault = fault_}); }
  void End() override { proxy_.ClearRules(); }

 private:
  FaultProxy& proxy_;
  const Fault fault_;
};

class PacketOutage final : public Outage {
 public:
  PacketOutage(FaultProxy& proxy, Sandbox& sandbox) : gate_(proxy.port(), &network_) {
    sandbox.SetEnvironment("AWS_ENDPOINT_URL", gate_.url());
  }
  void Mount(const MountWith& mount) override {
    const NetNamespace::Visit visit(network_);
    mount({});
  }
  void Begin() override { network_.Drop(gate_.port()); }
  void End() override { network_.LetPass(); }

 private:
  const NetNamespace network_;
  FaultProxy gate_;
};

class NameOutage final : public Outage {
 public:
  NameOutage(FaultProxy& proxy, Sandbox& sandbox, std::string state)
      : proxy_(proxy), directory_(sandbox.dir()), state_(std::move(state)) {
    directory_.Write("resolver", "up");
    sandbox.SetEnvironment("LD_PRELOAD", S3OVERLAY_RESOLVER_SHIM);
    sandbox.SetEnvironment("S3OVERLAY_TEST_RESOLVER", directory_ / "resolver");
    // Shorter than a bucket's name may be, so that no store takes it for one.
    sandbox.SetEnvironment("AWS_ENDPOINT_URL", "http://s3:" + std::to_string(proxy.port()));
  }
  void Begin() override {
    directory_.Write("resolver", state_);
    // Connections that are open need no name.
    proxy_.SetStore(FaultProxy::Store::kHangsUp);
    proxy_.SetStore(FaultProxy::Store::kUp);
  }
  void End() override { directory_.Write("resolver", "up"); }

 private:
  FaultProxy& proxy_;
  const TempDir& directory_;
  const std::string state_;
};

class CertificateOutage final : public Outage {
 public:
  CertificateOutage(FaultProxy& proxy, Sandbox& sandbox, BadCertificate kind)
      : authority_file_(sandbox.dir() / "ca.pem"), kind_(kind), front_(proxy.port(), authority_.MakeServer()) {
    authority_.Write(authority_file_);
    sandbox.SetEnvironment("AWS_ENDPOINT_URL", front_.url());
  }
  void Mount(const MountWith& mount) override { mount({"--ca-bundle", authority_file_}); }
  void Begin() override { front_.Replace(MakeBad()); }
  void End() override { front_.Replace(authority_.MakeServer()); }

 private:
  TlsContextPtr MakeBad() const {
    switch (kind_) {
      case BadCertificate::kExpired: return authority_.MakeServer({.valid_from = -7200, .valid_to = -60});
      case BadCertificate::kOfAnotherHost: return authority_.MakeServer({.subject = "DNS:another.test"});
      case BadCertificate::kOfAStranger: return CertificateAuthority("a stranger").MakeServer();
    }
    return nullptr;
  }

  const CertificateAuthority authority_;
  const std::string authority_file_;
  const BadCertificate kind_;
  TlsFront front_;
};

}  // namespace

MakeOutage StoreThat(FaultProxy::Store store) {
  return [store](FaultProxy& proxy, Sandbox&) { return std::make_unique<StoreOutage>(proxy, store); };
}

MakeOutage EveryAnswer(Fault fault) {
  return
      [fault = std::move(fault)](FaultProxy& proxy, Sandbox&) { return std::make_unique<AnswerOutage>(proxy, fault); };
}

MakeOutage PacketsThatVanish() {
  return [](FaultProxy& proxy, Sandbox& sandbox) { return std::make_unique<PacketOutage>(proxy, sandbox); };
}

MakeOutage NameThatIs(const std::string& state) {
  return [state](FaultProxy& proxy, Sandbox& sandbox) { return std::make_unique<NameOutage>(proxy, sandbox, state); };
}

MakeOutage CertificateThatIs(BadCertificate kind) {
  return
      [kind](FaultProxy& proxy, Sandbox& sandbox) { return std::make_unique<CertificateOutage>(proxy, sandbox, kind); };
}

}  // namespace s3overlay::testing
