/// The models of the suite: six sizes, each as encoder and decoder, and each turned into the other.
public enum EttinSuite {
    /// The account that published the suite.
    public static let organization = "jhu-clsp"

    /// How a model came to be.
    public enum Origin: String, Hashable, Sendable, CaseIterable {
        /// Trained from scratch as what it is.
        case pretrained
        /// Trained as the other kind first, then on with this kind's objective.
        case converted
    }

    /// One model.
    public struct Model: Hashable, Sendable {
        /// The repository, `organization/name`.
        public let repository: String
        /// Encoder or decoder, as it is used.
        public let kind: ModelKind
        /// The size.
        public let size: EttinSize
        /// How it came to be.
        public let origin: Origin

        /// The name without the organization.
        package var name: String { String(repository.dropFirst(EttinSuite.organization.count + 1)) }

        /// The number of parameters with the language-model head.
        package var parameterCount: Int { size.parameterCount }

        /// What the model is for, in one sentence.
        package var purpose: String {
            switch (origin, kind) {
            case (.pretrained, .encoder): "Understands text: the base for embedding, reranking and classification."
            case (.pretrained, .decoder): "Continues text: the base for generation and instruction tuning."
            case (.converted, .encoder): "Shows what a decoder becomes when it goes on as an encoder; for comparison."
            case (.converted, .decoder): "Shows what an encoder becomes when it goes on as a decoder; for comparison."
            }
        }
    }

    /// All 24 models: by origin, then kind, then size.
    public static let models: [Model] = Origin.allCases.flatMap { origin in
        ModelKind.allCases.flatMap { kind in
            EttinSize.allCases.map { size in
                let stem =
                    switch (origin, kind) {
                    case (.pretrained, .encoder): "encoder"
                    case (.pretrained, .decoder): "decoder"
                    case (.converted, .encoder): "enc-from-dec"
                    case (.converted, .decoder): "dec-from-enc"
                    }
                let repository = "\(organization)/ettin-\(stem)-\(size.rawValue)"
                return Model(repository: repository, kind: kind, size: size, origin: origin)
            }
        }
    }

    /// Finds a model by its repository or an alias for it.
    ///
    /// The organization and `ettin-` may be left out, case is ignored, and the long names of the model cards
    /// (`ettin-encoder-from-decoder-17m`) are understood.
    ///
    /// - Parameter name: A name.
    /// - Returns: Nil when no model of the suite is meant.
    public static func model(named name: String) -> Model? {
        var stem = Substring(name.lowercased())
        let prefix = organization + "/"
        if stem.hasPrefix(prefix) {
            stem = stem.dropFirst(prefix.count)
        } else if stem.contains("/") {
            return nil
        }
        if stem.hasPrefix("ettin-") { stem = stem.dropFirst("ettin-".count) }
        guard let dash = stem.lastIndex(of: "-"),
            let size = EttinSize(rawValue: String(stem[stem.index(after: dash)...]))
        else { return nil }
        let role: (ModelKind, Origin)? =
            switch stem[..<dash] {
            case "encoder", "enc": (.encoder, .pretrained)
            case "decoder", "dec": (.decoder, .pretrained)
            case "enc-from-dec", "encoder-from-decoder": (.encoder, .converted)
            case "dec-from-enc", "decoder-from-encoder": (.decoder, .converted)
            default: nil
            }
        guard let (kind, origin) = role else { return nil }
        return models.first { $0.kind == kind && $0.origin == origin && $0.size == size }
    }
}
