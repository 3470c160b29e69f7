import EttinModel
import TestSupport
import Testing
import Torch

@testable import EttinInference

extension TinyCheckpoint {
    /// A small model with another head than a language model's.
    convenience init<Model: PretrainedModel>(
        _ type: Model.Type,
        _ kind: ModelKind = .encoder,
        positions: Int = 64,
        _ change: (inout ModernBERTConfiguration) -> Void = { _ in }
    ) throws {
        try self.init(kind, positions: positions)
        var configuration = configuration
        change(&configuration)
        let model = Model(configuration, windowRule: .transformers)
        model.initialize(.transformers, seed: 7)
        try model.save(folder: folder.path)
    }

    /// Adds keys to `config.json`.
    func addToConfiguration(_ change: (inout ModernBERTConfiguration) -> Void) throws {
        var configuration = try ModernBERTConfiguration(folder: folder.path)
        change(&configuration)
        try configuration.write(toFolder: folder.path, format: .version4)
    }
}

/// What an error says.
func message(of body: () throws -> Void) -> String {
    do {
        try body()
        return "none"
    } catch {
        return "\(error)"
    }
}

/// The cosine of two lists of numbers.
func cosine(_ one: [Double], _ other: [Double]) -> Double {
    func dot(_ one: [Double], _ other: [Double]) -> Double { zip(one, other).reduce(0) { $0 + $1.0 * $1.1 } }
    return dot(one, other) / (dot(one, one) * dot(other, other)).squareRoot()
}
