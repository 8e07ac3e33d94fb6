"""Random-legal games in DeepMind's Hanabi Learning Environment, as a peer for the benchmark `games`.

The package's library is C++; calling it from Python for every move would measure Python. So a loop
over its own C interface (`pyhanabi.h`, which comes with the package) is compiled and linked with
the library that pip built. It makes uniformly random legal moves until the game ends, as ours does,
and the library keeps its hint knowledge of every card meanwhile. Needs a C++ compiler, as pip's
build of the package does. Prints one JSON row per number of players, the median of five runs.
"""

import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import hanabi_learning_environment

LOOP = r"""
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include "pyhanabi.h"

static double seconds(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec + now.tv_nsec * 1e-9;
}

int main(int, char** args) {
  const char* parameters[] = {"players", args[1], "seed", "1"};
  const int n_games = std::atoi(args[2]);
  pyhanabi_game_t game;
  NewGame(&game, 4, parameters);
  std::uint64_t random = 88172645463325252u;
  long n_points = 0;
  const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
  for (int i = 0; i < n_games; ++i) {
    pyhanabi_state_t state;
    NewState(&game, &state);
    while (StateEndOfGameStatus(&state) == 0) {
      if (StateCurPlayer(&state) < 0) {
        StateDealRandomCard(&state);
        continue;
      }
      void* legal = StateLegalMoves(&state);
      random ^= random << 13;
      random ^= random >> 7;
      random ^= random << 17;
      pyhanabi_move_t move;
      GetMove(legal, (random >> 33) % NumMoves(legal), &move);
      StateApplyMove(&state, &move);
      DeleteMove(&move);
      DeleteMoveList(legal);
    }
    n_points += StateScore(&state);
    DeleteState(&state);
  }
  std::printf("%.9f %.9f %ld\n", seconds(CLOCK_MONOTONIC) - wall,
              seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, n_points);
  DeleteGame(&game);
}
"""

N_GAMES = 20_000


def main():
    package = pathlib.Path(hanabi_learning_environment.__file__).parent
    compiler = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
    if compiler is None:
        sys.exit("there is no C++ compiler to build the loop over the library's C interface")
    with tempfile.TemporaryDirectory() as folder:
        source, program = pathlib.Path(folder, "loop.cc"), pathlib.Path(folder, "loop")
        source.write_text(LOOP)
        library = package / "libpyhanabi.so"
        subprocess.run(
            [compiler, "-O3", "-I", package, source, library, f"-Wl,-rpath,{package}", "-o", program],
            check=True,
        )
        for players in (2, 5):
            runs = []
            for _ in range(5):
                command = [program, str(players), str(N_GAMES)]
                answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                runs.append([float(part) for part in answer.split()])
            print(json.dumps({
                "name": f"random-legal/{players}",
                "seconds": statistics.median(run[0] for run in runs),
                "cpu_seconds": statistics.median(run[1] for run in runs),
                "items": N_GAMES,
            }), flush=True)


if __name__ == "__main__":
    main()
