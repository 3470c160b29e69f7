public import ArgumentParser
import EttinCorpus
public import EttinInference
public import EttinModel
import EttinTokenizer

extension ModelKind: ExpressibleByArgument {
    /// Encoder or decoder by its name on the command line.
    public init?(argument: String) {
        guard let kind = Self.allCases.first(where: { $0.name == argument }) else { return nil }
        self = kind
    }

    /// The names on the command line, for help.
    public static var allValueStrings: [String] { allCases.map(\.name) }
}

extension EttinSize: ExpressibleByArgument {
    /// A size by any of its names.
    public init?(argument: String) {
        self.init(named: argument)
    }
}

extension TextReader.Format: ExpressibleByArgument {}

extension Pooling: ExpressibleByArgument {}

extension TextRole: ExpressibleByArgument {}

extension RerankerModel.Head: ExpressibleByArgument {}

extension EmbeddingPrecision: ExpressibleByArgument {}

extension EmbeddingSimilarity: ExpressibleByArgument {}

extension WeightInitialization: ExpressibleByArgument {}

extension CorpusInput.Format: ExpressibleByArgument {}

extension ReadingOptions.InvalidTextRule: ExpressibleByArgument {}

extension ReadingOptions.EmptyDocumentRule: ExpressibleByArgument {}

extension OrderExportStage.Order: ExpressibleByArgument {}

extension StreamingSampling.Method: ExpressibleByArgument {}
