// Runs parts of training from outside, for the comparisons with the Python libraries in Interop/test_training_logs.py and
// Interop/test_training_reference.py, and for Benchmarks/training.

import EttinTraining
import Foundation
import ProbeSupport

func run(_ arguments: [String]) throws {
    let numbers = arguments.map(Int.init)
    switch (arguments.first, arguments.count) {
    case ("log", 4...5):
        guard let first = numbers[2], let last = numbers[3], first <= last else { return endWithUsage() }
        try log(folder: arguments[1], batches: first...last, continuingAfter: numbers.dropFirst(4).first ?? nil)
    case ("batches", 3...):
        guard let count = numbers[1] else { return endWithUsage() }
        try printBatches(count, of: session(arguments.dropFirst(2)))
    case ("held-out", 2...):
        try printHeldOut(session(arguments.dropFirst()))
    case ("loop", 4...):
        guard let steps = numbers[1], let rounds = numbers[2], steps > 0 else { return endWithUsage() }
        try timeLoop(steps: steps, rounds: rounds, Array(arguments.dropFirst(3)))
    default:
        endWithUsage()
    }
}

func endWithUsage() {
    print(
        """
        usage: TrainingProbe log RUN FIRST LAST [CONTINUING-AFTER]
               TrainingProbe batches COUNT RECIPE [RECIPE] [key=value ...]
               TrainingProbe held-out RECIPE [RECIPE] [key=value ...]
               TrainingProbe loop STEPS ROUNDS RECIPE [key=value ...]
        """
    )
    exit(64)
}

runProbe(run)
