// Few cases in which every two values of two options meet: each case a value index per option. Greedy, always the same.
#ifndef GATEWORK_TESTS_PAIRS_H
#define GATEWORK_TESTS_PAIRS_H

#include <random>
#include <set>
#include <tuple>
#include <vector>

using Choices = std::vector<int>;

inline std::vector<Choices> all_pairs(const std::vector<int>& values) {
  const auto options = static_cast<int>(values.size());
  std::set<std::tuple<int, int, int, int>> missing;
  for (int a = 0; a < options; ++a)
    for (int b = a + 1; b < options; ++b)
      for (int u = 0; u < values[static_cast<size_t>(a)]; ++u)
        for (int v = 0; v < values[static_cast<size_t>(b)]; ++v) missing.insert({a, b, u, v});
  const auto pairs_of = [options](const Choices& choice) {
    std::vector<std::tuple<int, int, int, int>> pairs;
    for (int a = 0; a < options; ++a)
      for (int b = a + 1; b < options; ++b)
        pairs.push_back({a, b, choice[static_cast<size_t>(a)], choice[static_cast<size_t>(b)]});
    return pairs;
  };
  std::mt19937 draw(0);
  std::vector<Choices> cases;
  while (!missing.empty()) {
    Choices best;
    size_t most = 0;
    for (int candidate = 0; candidate < 20; ++candidate) {
      Choices choice;
      for (int count : values) choice.push_back(static_cast<int>(draw() % static_cast<unsigned>(count)));
      const auto [a, b, u, v] = *missing.begin();
      choice[static_cast<size_t>(a)] = u;
      choice[static_cast<size_t>(b)] = v;
      size_t found = 0;
      for (const auto& pair : pairs_of(choice)) found += missing.count(pair);
      if (found > most) {
        most = found;
        best = choice;
      }
    }
    for (const auto& pair : pairs_of(best)) missing.erase(pair);
    cases.push_back(best);
  }
  return cases;
}

#endif
