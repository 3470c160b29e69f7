import EttinPrimitives

/// Masked language modeling: some tokens are replaced and are to be predicted.
///
/// Each token but the special ones is chosen with one probability, independently. Of the chosen, 80 % become the mask
/// token, 10 % a random one and 10 % stay, as in the originals' runs. Which and how is a pure function of the seed, the
/// sample and the pass: it depends neither on the batch nor on the rank, and changes from pass to pass.
public struct MaskedObjective: LanguageModelObjective, Hashable {
    /// The probability that a token is chosen.
    package let probability: Double
    /// The share of the chosen that become the mask token.
    package let maskedShare: Double
    /// The share of the chosen that become a random token.
    package let randomShare: Double
    /// Random tokens are drawn from the ids below this.
    package let vocabularySize: Int
    /// The ids of the special tokens, which are never chosen.
    package let specials: SpecialTokens
    private let seed: UInt64

    /// Creates an objective.
    ///
    /// - Parameters:
    ///   - probability: The probability that a token is chosen, `mlm_probability`.
    ///   - seed: Random seed of all masks.
    ///   - vocabularySize: Random tokens are drawn from the ids below this; the suite's is the default.
    ///   - specials: The ids of the special tokens.
    ///   - maskedShare: The share of the chosen that become the mask token.
    ///   - randomShare: The share of the chosen that become a random token.
    /// - Throws: `CorpusError` for shares that are no probabilities, or an impossible vocabulary.
    public init(
        probability: Double,
        seed: UInt64,
        vocabularySize: Int = 50368,
        specials: SpecialTokens = SpecialTokens(),
        maskedShare: Double = 0.8,
        randomShare: Double = 0.1
    ) throws {
        for (name, value) in [
            ("mlm_probability", probability), ("masked share", maskedShare), ("random share", randomShare),
            ("masked and random share", maskedShare + randomShare),
        ] where !(0...1).contains(value) {
            throw CorpusError(.invalidOption, file: name, found: "is \(value)", expected: "a number from 0 to 1")
        }
        guard (1...Int(Int32.max)).contains(vocabularySize) else {
            throw CorpusError(
                .invalidOption,
                file: "vocab_size",
                found: "is \(vocabularySize)",
                expected: "a positive number of at most 31 bits"
            )
        }
        self.probability = probability
        self.maskedShare = maskedShare
        self.randomShare = randomShare
        self.vocabularySize = vocabularySize
        self.specials = specials
        self.seed = seed
    }

    /// Packs samples in the order given, masks them and labels the chosen tokens with the original ones.
    ///
    /// - Parameter samples: The samples.
    /// - Returns: Inputs and labels.
    public func batch(_ samples: [TokenSample]) -> TrainingBatch {
        var inputs: [[Int32]] = []
        inputs.reserveCapacity(samples.count)
        var labels = [Int32](
            repeating: TrainingBatch.ignoredLabel,
            count: samples.reduce(0) { $0 + $1.ids.count }
        )
        var start = 0
        for sample in samples {
            var ids = sample.ids
            let range = start..<start + ids.count
            ids.withUnsafeMutableBufferPointer { ids in
                labels.withUnsafeMutableBufferPointer { labels in
                    mask(ids, reference: sample.reference, labels: UnsafeMutableBufferPointer(rebasing: labels[range]))
                }
            }
            inputs.append(ids)
            start = range.upperBound
        }
        return TrainingBatch(packed: PackedBatch(inputs), labels: labels)
    }

    // Four tokens share a block of random words that choose them; each chosen one has a block of its own, for how it is
    // replaced and by which token.
    private func mask(
        _ ids: UnsafeMutableBufferPointer<Int32>,
        reference: SampleReference,
        labels: UnsafeMutableBufferPointer<Int32>
    ) {
        let chosen = Self.threshold(probability)
        let masked = Self.threshold(maskedShare)
        let replaced = Self.threshold(maskedShare + randomShare)
        guard chosen > 0 else { return }
        let lastChosen = SIMD4(repeating: UInt32(chosen - 1))
        let random = RandomPurpose.masking.generator(seed: seed, stream: UInt64(reference.index))
        let choices = UInt64(reference.pass) << 32
        let replacements = choices | 1 << 31
        for first in stride(from: 0, to: ids.count, by: 4) {
            let isChosen = random.words(atBlock: choices | UInt64(first / 4)) .<= lastChosen
            for lane in 0..<min(4, ids.count - first) where isChosen[lane] {
                let place = first + lane
                let id = ids[place]
                if specials.contains(id) { continue }
                labels[place] = id
                let words = random.words(atBlock: replacements | UInt64(place))
                if UInt64(words.x) < masked {
                    ids[place] = specials.mask
                } else if UInt64(words.x) < replaced {
                    ids[place] = Int32((UInt64(words.y) * UInt64(vocabularySize)) >> 32)
                }
            }
        }
    }

    private static func threshold(_ probability: Double) -> UInt64 { UInt64((probability * 0x1p32).rounded()) }
}
