import EttinCorpus
import EttinTraining

/// How many tokens a sequence has on average, which tells how many steps a number of tokens takes.
package struct SequenceLength: Hashable, Sendable {
    /// Where the number comes from.
    package enum Source: String, Hashable, Sendable {
        /// From samples of the data.
        case measured
        /// From whoever asked for the plan.
        case given
        /// The most there may be, because the data is not there.
        case assumed
    }

    /// Tokens of a sequence as the model reads it.
    package let mean: Double
    /// Where the number comes from.
    package let source: Source
    /// The number of samples that were looked at.
    package let samplesRead: Int
    /// The number of samples of a pass over the data; nil where it is not there.
    package let sampleCount: Int?
    /// Why the data could not be looked at; nil where it could.
    package let problem: String?

    init(given mean: Double, sampleCount: Int? = nil) {
        self.init(mean: mean, source: .given, samplesRead: 0, sampleCount: sampleCount, problem: nil)
    }

    private init(mean: Double, source: Source, samplesRead: Int, sampleCount: Int?, problem: String?) {
        self.mean = mean
        self.source = source
        self.samplesRead = samplesRead
        self.sampleCount = sampleCount
        self.problem = problem
    }

    /// Looks at samples of a recipe's data, spread over all of it.
    init(of data: DataSettings) {
        do {
            var total = 0
            var read = 0
            var datasets: [(dataset: MDSDataset, weight: MDSStreams.Weight)] = []
            for folder in data.weightedFolders {
                // Into memory: a plan writes nothing, not even beside compressed shards.
                let dataset = try MDSDataset(
                    folder: folder.path,
                    split: folder.split,
                    decompression: .intoMemory,
                    openShardLimit: 1
                )
                datasets.append((dataset, folder.weight))
                let measured = try Self.measure(dataset, maxTokens: data.maxSequenceLength)
                total += measured.tokens
                read += measured.samples
            }
            guard read > 0 else {
                self.init(assuming: data.maxSequenceLength, because: "there are no samples")
                return
            }
            self.init(
                mean: Double(total) / Double(read),
                source: .measured,
                samplesRead: read,
                sampleCount: try data.sampleOrder(of: datasets).count,
                problem: nil
            )
        } catch {
            self.init(assuming: data.maxSequenceLength, because: "\(error)")
        }
    }

    private init(assuming tokens: Int, because problem: String) {
        self.init(mean: Double(tokens), source: .assumed, samplesRead: 0, sampleCount: nil, problem: problem)
    }

    private static func measure(_ dataset: MDSDataset, maxTokens: Int) throws -> (tokens: Int, samples: Int) {
        // The ids that both halves of a pair read.
        let preparation = SamplePreparation(maxTokens: maxTokens, appendsEnd: false)
        let samples = dataset.spreadSamples
        let tokens = try samples.reduce(0) { tokens, sample in
            try tokens + preparation.prepared(dataset.tokenIDs(at: sample), sample: sample).count
        }
        return (tokens, samples.count)
    }
}
