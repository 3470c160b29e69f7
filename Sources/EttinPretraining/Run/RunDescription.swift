import EttinFiles
import EttinJSON
import EttinModel
import EttinTraining
import Torch

/// What `run.json` says of a run.
struct RunDescription {
    private let value: JSONValue

    init(_ recipe: PretrainingRecipe, model: LanguageModel, tokenizer: String?) {
        let rules = recipe.rules
        value = [
            "name": recipe.runName.map { .string($0) } ?? .null,
            "kind": .string(recipe.kind.name),
            "objective": .string(recipe.objective.name),
            "phase": .string(recipe.checkpoints.phase.rawValue),
            "parameters": JSONValue(model.parameterCount),
            "vocab_size": JSONValue(model.configuration.vocabularySize),
            "data": .string(recipe.data.displayPath),
            "eval_data": recipe.evalData.map { .string($0.displayPath) } ?? .null,
            "tokenizer": tokenizer.map { .string($0) } ?? .null,
            "rules": [
                "learning_rate_timing": .string(rules.learningRateTiming.rawValue),
                "decay_base_rate": .string(rules.decayBaseRate.rawValue),
                "reset_time": .string(rules.resetTime.rawValue),
                "batch_size_warmup": .string(rules.batchSizeWarmup.rawValue),
                "loss_weighting": .string(rules.lossWeighting.rawValue),
                "decoder_window": .string(rules.decoderWindow == .training ? "training" : "transformers"),
                "token_counting": .string(rules.tokenCounting.rawValue),
            ],
            "torch": .string(TorchRuntime.version),
            "threads": JSONValue(TorchRuntime.threadCount),
            "recipe": recipe.resolved,
        ]
    }

    /// Removes the numbered files of a run that was in the folder before.
    static func removeEarlier(in run: RunFolder) throws {
        var number = 1
        while FilePath.exists(run.earlierDescription(number)) {
            try TrainingError.translating { try FilePath.remove(run.earlierDescription(number)) }
            number += 1
        }
    }

    /// Writes the file; one that is there already may stay under the next free number.
    func write(to run: RunFolder, keepingEarlier keepsEarlier: Bool) throws {
        if keepsEarlier, FilePath.exists(run.description) {
            var number = 1
            while FilePath.exists(run.earlierDescription(number)) { number += 1 }
            try TrainingError.translating {
                let bytes = try MappedFile(path: run.description).withUnsafeBytes { Array($0) }
                try AtomicFile.write(bytes, to: run.earlierDescription(number))
            }
        }
        let text = value.text(JSONWritingOptions(layout: .indented(2))) + "\n"
        try TrainingError.translating { try AtomicFile.write(Array(text.utf8), to: run.description) }
    }
}

extension DataSettings {
    /// The data set as people name it.
    var displayPath: String {
        if case .explicit(let path) = order { return path }
        if !streams.isEmpty { return streams.map(\.localPath).joined(separator: ", ") }
        return split.map { FilePath.joined(localPath, $0) } ?? localPath
    }
}
