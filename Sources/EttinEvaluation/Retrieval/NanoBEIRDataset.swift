import EttinFiles

/// The data sets of NanoBEIR, by the short names of sentence-transformers.
public enum NanoBEIRDataset: String, Sendable, Hashable, CaseIterable {
    /// Climate-FEVER.
    case climateFEVER = "climatefever"
    /// DBPedia.
    case dbPedia = "dbpedia"
    /// FEVER.
    case fever
    /// FiQA-2018.
    case fiqa2018
    /// HotpotQA.
    case hotpotQA = "hotpotqa"
    /// MS MARCO.
    case msMARCO = "msmarco"
    /// NFCorpus.
    case nfCorpus = "nfcorpus"
    /// Natural Questions.
    case nq
    /// Quora.
    case quoraRetrieval = "quoraretrieval"
    /// SCIDOCS.
    case scidocs
    /// ArguAna.
    case arguAna = "arguana"
    /// SciFact.
    case sciFact = "scifact"
    /// Touché 2020.
    case touche2020

    /// A data set by any of its names, whatever their case: `msmarco`, `MSMARCO`, `NanoMSMARCO`.
    ///
    /// - Parameter text: The name.
    package init?(named text: String) {
        let text = text.lowercased()
        let short = text.hasPrefix("nano") ? String(text.dropFirst(4)) : text
        self.init(rawValue: short)
    }

    /// The name of its split, such as `NanoMSMARCO`.
    public var splitName: String {
        switch self {
        case .climateFEVER: "NanoClimateFEVER"
        case .dbPedia: "NanoDBPedia"
        case .fever: "NanoFEVER"
        case .fiqa2018: "NanoFiQA2018"
        case .hotpotQA: "NanoHotpotQA"
        case .msMARCO: "NanoMSMARCO"
        case .nfCorpus: "NanoNFCorpus"
        case .nq: "NanoNQ"
        case .quoraRetrieval: "NanoQuoraRetrieval"
        case .scidocs: "NanoSCIDOCS"
        case .arguAna: "NanoArguAna"
        case .sciFact: "NanoSciFact"
        case .touche2020: "NanoTouche2020"
        }
    }

    /// Refuses no data sets and one that is named twice.
    static func checked(_ datasets: [NanoBEIRDataset], in evaluator: String) throws -> [NanoBEIRDataset] {
        let twice = datasets.first { dataset in datasets.count { $0 == dataset } > 1 }
        guard datasets.isEmpty || twice != nil else { return datasets }
        throw EvaluationError(
            .invalidOption,
            file: evaluator,
            item: "dataset_names",
            found: twice.map { "names \(quoted($0.rawValue)) twice" } ?? "is empty",
            expected: "some of \(allCases.map(\.rawValue).joined(separator: ", "))"
        )
    }
}
