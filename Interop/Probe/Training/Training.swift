// Runs parts of training from outside, for the comparisons with the Python libraries in Interop/test_training_logs.py and
// Interop/test_training_reference.py, and for Benchmarks/training.

import EttinTraining

func runTraining(_ arguments: [String]) throws {
    let numbers = arguments.map(Int.init)
    switch (arguments.first, arguments.count) {
    case ("log", 4...5):
        guard let first = numbers[2], let last = numbers[3], first <= last else { endWithTrainingUsage() }
        try log(folder: arguments[1], batches: first...last, continuingAfter: numbers.dropFirst(4).first ?? nil)
    case ("batches", 3...):
        guard let count = numbers[1] else { endWithTrainingUsage() }
        try printBatches(count, of: session(arguments.dropFirst(2)))
    case ("held-out", 2...):
        try printHeldOut(session(arguments.dropFirst()))
    case ("loop", 4...):
        guard let steps = numbers[1], let rounds = numbers[2], steps > 0 else { endWithTrainingUsage() }
        try timeLoop(steps: steps, rounds: rounds, Array(arguments.dropFirst(3)))
    default:
        endWithTrainingUsage()
    }
}

private func endWithTrainingUsage() -> Never {
    endWithUsage(
        """
        usage: ettin-probe training log RUN FIRST LAST [CONTINUING-AFTER]
               ettin-probe training batches COUNT RECIPE [RECIPE] [key=value ...]
               ettin-probe training held-out RECIPE [RECIPE] [key=value ...]
               ettin-probe training loop STEPS ROUNDS RECIPE [key=value ...]
        """
    )
}
