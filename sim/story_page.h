// The story of a run as a page: one self-contained file for a browser, with a space-time diagram and the wait-for
// graph.
#pragma once

#include <string>
#include <string_view>

#include "sim/explain.h"
#include "sim/story.h"

namespace chronik::sim {

// What the page shows, as JSON; page/diagram.js says what the short names mean.
std::string story_json(const Story& story, const StoryRun& run);
std::string story_page(const Story& story, const StoryRun& run);

// The page's parts, of sim/page/, embedded when the program is built.
std::string_view page_html();
std::string_view page_css();
std::string_view page_script();

}  // namespace chronik::sim
