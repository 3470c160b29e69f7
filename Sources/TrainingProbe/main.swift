// Runs parts of training from outside, for the comparisons with the Python libraries in Interop/test_training_….py.

import EttinTraining
import Foundation

func run(_ arguments: [String]) throws {
    switch (arguments.first, arguments.count) {
    case ("log", 4...5):
        guard let first = Int(arguments[2]), let last = Int(arguments[3]), first <= last else { fallthrough }
        let batch = arguments.dropFirst(4).first.flatMap(Int.init)
        try log(folder: arguments[1], batches: first...last, continuingAfter: batch)
    default:
        print("usage: TrainingProbe log RUN FIRST LAST [CONTINUING-AFTER]")
        exit(64)
    }
}

do {
    try run(Array(CommandLine.arguments.dropFirst()))
} catch {
    FileHandle.standardError.write(Data("\(error)\n".utf8))
    exit(1)
}
