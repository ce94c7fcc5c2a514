// SPDX-License-Identifier: Apache-2.0
#include "cli/help_formatter.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <sstream>
#include <utility>

namespace s3overlay {
namespace {

constexpr size_t kNameWidth = 34;
constexpr size_t kTextWidth = 72;

std::string Wrap(const std::string& text) {
  std::istringstream words(text);
  std::string wrapped;
  size_t column = 0;
  for (std::string word; words >> word; column += word.size() + 1) {
    if (column != 0 && column + word.size() > kTextWidth) {
      wrapped += '\n';
      column = 0;
    } else if (column != 0) {
      wrapped += ' ';
    }
    wrapped += word;
  }
  return wrapped;
}

class HelpFormatter final : public CLI::Formatter {
 public:
  explicit HelpFormatter(std::string usage) : usage_(std::move(usage)) { column_width(kNameWidth); }

  std::string make_usage(const CLI::App*, std::string) const override { return "Usage: " + usage_ + "\n"; }
  std::string make_option_desc(const CLI::Option* option) const override { return Wrap(option->get_description()); }

  // Only what the value is called: what is required and what repeats, the usage line and the text say.
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_name().empty() ? "" : " " + option->get_type_name();
  }

 private:
  const std::string usage_;
};

}  // namespace

void SetUpHelp(CLI::App& app, std::string usage, std::string footer) {
  app.formatter(std::make_shared<HelpFormatter>(std::move(usage)));
  app.set_help_flag("-h,--help", "Print this help");
  app.footer("\n" + std::move(footer));
}

}  // namespace s3overlay
