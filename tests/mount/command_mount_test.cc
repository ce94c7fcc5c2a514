// SPDX-License-Identifier: Apache-2.0
//
// `s3overlay mount` and `umount` as a user meets them: what comes up, what is refused and why, and how it ends.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mount.h>

#include <filesystem>
#include <future>

#include "mount/command_fixture.h"

namespace s3overlay::testing {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(Command, MountReturnsWhenTheMountAnswers) {
  Put("a", "in S3");
  MountBoth();
  EXPECT_TRUE(Holds(At("a"), "in S3"));
  EXPECT_NE(mount().pid(), -1);
}

TEST_F(Command, TheCoveredDirectoryIsItsOwnFallback) {
  Put("in-both", "of S3");
  const std::string dataset = sandbox().mountpoint();
  sandbox().dir().Write("mnt/in-both", "local");
  sandbox().dir().Write("mnt/dir/local-only", "below the mount");
  MountOptions options;
  options.arguments = {S3Layer()};
  MountWith(options);
  EXPECT_TRUE(Holds(At("in-both"), "of S3"));
  EXPECT_TRUE(Holds(At("dir/local-only"), "below the mount"));
  EXPECT_EQ(State("dir/local-only"), "fallback");
  EXPECT_EQ(Provenance(At("dir/local-only"), "source"), dataset + "/dir/local-only");
  Unmount();
  EXPECT_TRUE(Holds(dataset + "/in-both", "local"));
}

TEST_F(Command, LayersAtSubPaths) {
  Put("model.bin", "weights");
  bucket().Put("k=v/odd", "a key with an equals sign");
  WriteLocal("data.jsonl", "data");
  MountWith({"deep/models=" + S3Layer(), "s3://" + bucket().name() + "/k=v", LocalDirectory()});
  EXPECT_TRUE(Holds(At("deep/models/model.bin"), "weights"));
  EXPECT_TRUE(Holds(At("data.jsonl"), "data"));
  EXPECT_TRUE(Holds(At("odd"), "a key with an equals sign"));
  EXPECT_THAT(ListNames(At("")).names, ElementsAre("data.jsonl", "deep", "odd"));
  EXPECT_THAT(ListNames(At("deep")).names, ElementsAre("models"));
  EXPECT_EQ(StatError(At("model.bin")), ENOENT);
}

TEST_F(Command, OneFamilyOfCredentialsWinsWhole) {
  bucket().Put("a", "by OVH's names");
  for (const auto& [name, value] :
       {std::pair("OVH_S3_ACCESS_KEY", bucket().server().access_key),
        std::pair("OVH_S3_SECRET_KEY", bucket().server().secret_key), std::pair("OVH_S3_ENDPOINT", proxy().url()),
        std::pair("OVH_S3_REGION", std::string("us-east-1")), std::pair("OVH_S3_BUCKET", bucket().name())}) {
    sandbox().SetEnvironment(name, value);
  }
  sandbox().SetEnvironment("AWS_SECRET_ACCESS_KEY", "of-the-other-family");
  sandbox().SetEnvironment("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
  MountWith(MountOptions{});
  EXPECT_TRUE(Holds(At("a"), "by OVH's names"));
}

TEST_F(Command, CredentialsOfAnEnvFileAndOptionsOfAConfiguration) {
  Put("a", "in S3");
  for (const char* const name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"}) {
    sandbox().SetEnvironment(name, "");
  }
  const auto file =
      sandbox().dir().Write("env", "# of the test\nexport AWS_ACCESS_KEY_ID=" + bucket().server().access_key +
                                       "\nAWS_SECRET_ACCESS_KEY='" + bucket().server().secret_key + "'\n");
  const auto config = sandbox().dir().Write(
      "mount.toml", "endpoint = \"" + proxy().url() + "\"\n[[layer]]\nspec = \"" + S3Layer() + "\"\n");
  MountOptions options;
  options.arguments = {"--env-file", file, "--config", config};
  MountWith(options);
  EXPECT_TRUE(Holds(At("a"), "in S3"));
}

TEST_F(Command, WithoutCredentialsItSaysWhereItLooked) {
  sandbox().SetEnvironment("AWS_ACCESS_KEY_ID", "");
  sandbox().SetEnvironment("AWS_SECRET_ACCESS_KEY", "");
  const ProcessResult result = FailToMount();
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_THAT(result.err, AllOf(HasSubstr("AWS_ACCESS_KEY_ID"), HasSubstr("OVH_S3_ACCESS_KEY")));
}

TEST_F(Command, RefusedCredentialsAreTold) {
  sandbox().SetEnvironment("AWS_SECRET_ACCESS_KEY", "a-wrong-secret");
  ProcessResult result = FailToMount();
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_THAT(result.err, HasSubstr("SignatureDoesNotMatch"));
  sandbox().SetEnvironment("AWS_ACCESS_KEY_ID", "NOSUCHKEY00000000000");
  result = FailToMount();
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_THAT(result.err, AnyOf(HasSubstr("InvalidAccessKeyId"), HasSubstr("SignatureDoesNotMatch"))) << "by the store";
}

TEST_F(Command, ExpiredCredentialsAreTold) {
  proxy().AddRule({.operation = "LIST", .fault = {.answer = S3ErrorAnswer("400 Bad Request", "ExpiredToken")}});
  const ProcessResult result = FailToMount();
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_THAT(result.err, HasSubstr("ExpiredToken"));
}

// A key may be readable where lists are denied, and a store in trouble may come back.
TEST_F(Command, DeniedListsAndTroubleOfTheStoreAreWarnings) {
  Put("a", "in S3");
  for (const auto& [status, code] :
       {std::pair("403 Forbidden", "AccessDenied"), std::pair("500 Internal Server Error", "InternalError")}) {
    proxy().AddRule({.operation = "LIST", .fault = {.answer = S3ErrorAnswer(status, code)}});
    MountStore();
    EXPECT_THAT(mount().command().err, AllOf(HasSubstr("warning"), HasSubstr(code)));
    proxy().ClearRules();
    EXPECT_TRUE(Eventually([&] { return ReadWhole(At("a")).error == 0; }));
    EXPECT_TRUE(Holds(At("a"), "in S3"));
  }
}

TEST_F(Command, AMissingBucketIsNoEmptyOne) {
  const ProcessResult result = FailToMount({}, "s3://no-such-bucket-of-anybody/x");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("no-such-bucket-of-anybody"));
}

TEST_F(Command, WrongUsageIsTold) {
  for (const char* const name : {"settings", "settings.toml", "ca.pem"}) {
    sandbox().dir().Write(std::string("mnt/") + name, "");
  }
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"--no-such-option"},
                                                {"--cache-size", "much"},
                                                {"--metadata-ttl", "-1s"},
                                                {"--on-outage", "perhaps"},
                                                {"--layer", "s3://"},
                                                {"--cache-dir", sandbox().mountpoint() + "/cache"},
                                                {"--log-file", sandbox().mountpoint() + "/log"},
                                                {"--env-file", sandbox().mountpoint() + "/settings"},
                                                {"--config", sandbox().mountpoint() + "/settings.toml"},
                                                {"--ca-bundle", sandbox().mountpoint() + "/ca.pem"},
                                                {"--config", "/no/such.toml"},
                                                {"--endpoint", "ftp://x"}}) {
    const ProcessResult result = FailToMount(wrong);
    EXPECT_EQ(result.exit_code, 2) << ::testing::PrintToString(wrong) << result.err;
    EXPECT_THAT(result.err, AnyOf(HasSubstr(wrong[0]), HasSubstr(wrong.back()))) << "it does not name what is wrong";
  }
}

TEST_F(Command, SettingsAreRefusedBelowTheMountpointAndNowhereElse) {
  namespace fs = std::filesystem;
  const std::string below = sandbox().dir().Write("mnt/.env", "");
  const std::string beside = sandbox().dir().Write("mnt-settings/.env", "");
  const std::string link_into = sandbox().dir() / "link-into";
  fs::create_symlink(below, link_into);
  fs::create_symlink(beside, sandbox().mountpoint() + "/link-out");
  for (const std::string& path : {below, link_into, sandbox().mountpoint() + "/link-out"}) {
    const ProcessResult result = FailToMount({"--env-file", path});
    EXPECT_EQ(result.exit_code, 2) << path;
    EXPECT_THAT(result.err,
                AllOf(HasSubstr("--env-file " + path + " lies below the mountpoint"), HasSubstr("move it outside")))
        << path;
  }
  MountBoth({"--env-file", beside, "--config", beside});
  MountBoth({"--env-file", sandbox().mountpoint() + "/../mnt-settings/.env"});
}

TEST_F(Command, AMountpointThatCannotBeOneIsRefused) {
  std::filesystem::remove(sandbox().mountpoint());
  ProcessResult result = FailToMount();
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr(sandbox().mountpoint()));
  sandbox().dir().Write("mnt", "a file");
  result = FailToMount();
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("directory"));
}

TEST_F(Command, ACacheThatCannotBeWrittenIsRefused) {
  WriteLocal("file", "no directory");
  for (const std::string& dir :
       {LocalDirectory() + "/file/cache", LocalDirectory() + "/file", std::string("/proc/cache")}) {
    const ProcessResult result = FailToMount({"--cache-dir", dir});
    EXPECT_EQ(result.exit_code, 2) << dir;
    EXPECT_THAT(result.err, AllOf(HasSubstr("cache directory " + dir), HasSubstr("--cache-dir"))) << dir;
  }
}

TEST_F(Command, ALocalLayerThatIsNotThereIsRefused) {
  const ProcessResult result = FailToMount({"--layer", "/no/such/directory"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("layer /no/such/directory"));
}

TEST_F(Command, AMountAndACacheHaveOneOwner) {
  MountBoth();
  std::vector<std::string> again = MountArguments(sandbox(), {.arguments = {"--layer", S3Layer()}});
  again.push_back(mount().path());
  ProcessResult result = sandbox().Run(again);
  EXPECT_THAT(result.exit_code, AnyOf(1, 2));
  EXPECT_THAT(result.err, HasSubstr("already"));
  again.back() = sandbox().dir() / "second";
  std::filesystem::create_directory(again.back());
  result = sandbox().Run(again);
  EXPECT_THAT(result.exit_code, AnyOf(1, 2));
  EXPECT_THAT(result.err, AllOf(HasSubstr(std::to_string(mount().pid())), HasSubstr(mount().path())));
  EXPECT_FALSE(IsMounted(again.back()));
  EXPECT_TRUE(IsMounted(mount().path()));
  sandbox().AllowErrorsInLog();
}

TEST_F(Command, WithTheStoreAwayTheMountIsUpAndWarns) {
  WriteLocal("a", "local");
  proxy().SetStore(FaultProxy::Store::kRefused);
  MountBoth();
  EXPECT_THAT(sandbox().Log(), HasSubstr("[warning]"));
  EXPECT_TRUE(Holds(At("a"), "local"));
  proxy().SetStore(FaultProxy::Store::kSilent);
  MountBoth();
}

TEST_F(Command, WithOnOutageErrorItIsNot) {
  proxy().SetStore(FaultProxy::Store::kRefused);
  const ProcessResult result = FailToMount({"--on-outage", "error"});
  EXPECT_EQ(result.exit_code, 5);
  EXPECT_THAT(result.err, HasSubstr(proxy().url()));
}

TEST_F(Command, SignalsEndTheForegroundCleanly) {
  Put("a", "in S3");
  for (const int signal : {SIGTERM, SIGINT}) {
    MountInForeground();
    ASSERT_TRUE(Eventually([&] { return StatError(At("a")) == 0; }));
    ExpectCleanEnd(signal);
  }
}

TEST_F(Command, ClosedStandardDescriptorsAreNoHarm) {
  Put("a", "in S3");
  for (const std::string closed : {"<&-", "<&- >&- 2>&-"}) {
    const ProcessResult mounted =
        sandbox().RunProgram({"/bin/sh", "-c", "exec \"$@\" " + closed, "sh", Sandbox::Program(), "mount", "--layer",
                              S3Layer(), "--no-cache", sandbox().mountpoint()});
    ASSERT_EQ(mounted.exit_code, 0) << closed << mounted.err;
    EXPECT_TRUE(Holds(sandbox().mountpoint() + "/a", "in S3")) << closed;
    const auto daemons = sandbox().FindDaemons();
    ASSERT_EQ(daemons.size(), 1U);
    ::kill(daemons.front(), SIGTERM);
    EXPECT_TRUE(Eventually([&] { return !IsMounted(sandbox().mountpoint()) && sandbox().FindDaemons().empty(); }))
        << closed;
  }
}

TEST_F(Command, ASignalEndsAMountThatIsBusyWithASilentStore) {
  Put("a", Pattern(4 * kMiB));
  MountInForeground();
  ASSERT_TRUE(Eventually([&] { return StatError(At("a")) == 0; }));
  const UniqueFd open = OpenDirect(At("a"));
  proxy().SetStore(FaultProxy::Store::kSilent);
  auto reader = std::async(std::launch::async, [&] { return ReadAt(open.get(), 0, kMiB); });
  ASSERT_TRUE(Eventually([&] { return proxy().Count("GET") > 0; }));
  ExpectCleanEnd(SIGTERM);
  EXPECT_NE(reader.get().error, 0);
}

TEST_F(Command, UmountOfWhatIsNotMounted) {
  const ProcessResult result = sandbox().Run({"umount", sandbox().mountpoint()});
  EXPECT_EQ(result.exit_code, 4);
  EXPECT_THAT(result.err, HasSubstr(sandbox().mountpoint()));
}

TEST_F(Command, ABusyMountStaysAndSaysWhoHoldsIt) {
  Put("a", "in S3");
  MountBoth();
  {
    const UniqueFd open(::open(At("a").c_str(), O_RDONLY | O_CLOEXEC));
    const ProcessResult result = sandbox().Run({"umount", mount().path()});
    EXPECT_NE(result.exit_code, 0);
    EXPECT_THAT(result.err, AllOf(HasSubstr("busy"), HasSubstr(std::to_string(::getpid()))));
  }
  EXPECT_TRUE(Holds(At("a"), "in S3"));
}

TEST_F(Command, UmountWorksInAnOutage) {
  Put("a", "in S3");
  MountBoth();
  ASSERT_TRUE(Holds(At("a"), "in S3"));
  proxy().SetStore(FaultProxy::Store::kSilent);
  mount().Unmount();
}

TEST_F(Command, ADeadMountpointIsCleanedUpByTheNextMount) {
  const std::string object = Pattern(kMiB);
  Put("a", object);
  MountBoth();
  ASSERT_TRUE(Holds(At("a"), object));
  KillDaemon();
  MountBoth();
  EXPECT_TRUE(Holds(At("a"), object));
}

// The end of a daemon meets whatever has taken the place, and perhaps the device number, of its mount.
TEST_F(Command, AMountOutlivesTheEndOfTheOneBeforeIt) {
  WriteLocal("a", "local");
  for (int i = 0; i < 5; ++i) {
    MountOptions options;
    options.arguments = {"--layer", LocalDirectory()};
    options.cache = false;
    MountWith(options);
    const pid_t first = mount().pid();
    ASSERT_EQ(::umount2(mount().path().c_str(), 0), 0);
    mount().Forget();
    ::kill(first, SIGTERM);
    MountWith(options);
    ASSERT_TRUE(Eventually([&] { return sandbox().FindDaemons().size() == 1; }));
    EXPECT_TRUE(Holds(At("a"), "local"));
    Unmount();
  }
}

TEST_F(Command, ADeadMountpointIsCleanedUpByUmount) {
  MountBoth();
  KillDaemon();
  const ProcessResult result = sandbox().Run({"umount", sandbox().mountpoint()});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_FALSE(IsMounted(sandbox().mountpoint()));
}

}  // namespace
}  // namespace s3overlay::testing
