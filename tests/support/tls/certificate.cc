// SPDX-License-Identifier: Apache-2.0
#include "support/tls/certificate.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <cstdio>
#include <utility>

namespace s3overlay::testing {
namespace {

// Two of one authority with one number would be a fault of their own.
long NextSerial() {
  static std::atomic<long> serial{0};
  return ++serial;
}

void SetName(X509_NAME* name, const std::string& text) {
  const auto* const bytes = reinterpret_cast<const unsigned char*>(text.c_str());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, bytes, -1, -1, 0);
}

}  // namespace

CertificateAuthority::CertificateAuthority(std::string name)
    : name_(std::move(name)),
      key_(EVP_EC_gen("P-256")),
      certificate_(Sign(key_.get(), name_, "basicConstraints", "critical,CA:TRUE", {})) {}

void CertificateAuthority::Write(const std::string& path) const {
  const std::unique_ptr<FILE, Freer<std::fclose>> file(std::fopen(path.c_str(), "w"));
  EXPECT_EQ(PEM_write_X509(file.get(), certificate_.get()), 1);
}

TlsContextPtr CertificateAuthority::MakeServer(const CertificateTerms& terms) const {
  const KeyPtr key(EVP_EC_gen("P-256"));
  const CertificatePtr certificate = Sign(key.get(), "server of a test", "subjectAltName", terms.subject, terms);
  TlsContextPtr context(SSL_CTX_new(TLS_server_method()));
  EXPECT_EQ(SSL_CTX_use_certificate(context.get(), certificate.get()), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), key.get()), 1);
  return context;
}

CertificatePtr CertificateAuthority::Sign(EVP_PKEY* key, const std::string& name, const char* extension,
                                          const std::string& value, const CertificateTerms& terms) const {
  CertificatePtr certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), NextSerial());
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), terms.valid_from);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), terms.valid_to);
  X509_set_pubkey(certificate.get(), key);
  SetName(X509_get_subject_name(certificate.get()), name);
  SetName(X509_get_issuer_name(certificate.get()), name_);
  X509_EXTENSION* const said = X509V3_EXT_conf(nullptr, nullptr, extension, value.c_str());
  EXPECT_EQ(X509_add_ext(certificate.get(), said, -1), 1);
  X509_EXTENSION_free(said);
  EXPECT_NE(X509_sign(certificate.get(), key_.get(), EVP_sha256()), 0);
  return certificate;
}

}  // namespace s3overlay::testing
