import EttinJSON

/// The metadata at the top of a card, in the part of YAML that it takes.
struct CardMetadata {
    private(set) var text = ""

    /// Adds a text.
    mutating func add(_ key: String, _ value: String) {
        text += "\(key): \(Self.scalar(value))\n"
    }

    /// Adds a list, unless it is empty.
    mutating func add(_ key: String, _ values: [String]) {
        guard !values.isEmpty else { return }
        text += "\(key):\n" + values.map { "- \(Self.scalar($0))\n" }.joined()
    }

    /// Adds measured figures in the form that the Hub shows beside the text, one entry for each task and data set.
    mutating func addResults(of model: String, _ metrics: [ModelCard.Metric]) {
        guard !metrics.isEmpty else { return }
        text += "model-index:\n- name: \(Self.scalar(model))\n  results:\n"
        var rest = metrics
        while let first = rest.first {
            let belongs = { (metric: ModelCard.Metric) in
                metric.task == first.task && metric.dataset == first.dataset && metric.datasetID == first.datasetID
                    && metric.split == first.split
            }
            text += "  - task:\n      type: \(Self.scalar(first.task))\n"
            if let title = first.taskTitle { text += "      name: \(Self.scalar(title))\n" }
            text += "    dataset:\n      name: \(Self.scalar(first.dataset))\n"
            text += "      type: \(Self.scalar(first.datasetID ?? Self.identifier(first.dataset)))\n"
            if let split = first.split { text += "      split: \(Self.scalar(split))\n" }
            text += "    metrics:\n"
            for metric in rest.filter(belongs) {
                text += "    - type: \(Self.scalar(metric.name))\n      value: \(Self.number(metric.value))\n"
                if let title = metric.title { text += "      name: \(Self.scalar(title))\n" }
            }
            rest.removeAll(where: belongs)
        }
    }

    /// A name for people in the form that the Hub demands of a data set's id, which it must have even where the data set
    /// is not there: letters, digits, `_`, `-` and `.`.
    private static func identifier(_ name: String) -> String {
        String(decoding: name.utf8.map { isWordByte($0) ? $0 : UInt8(ascii: "-") }, as: UTF8.self)
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    /// A text as a YAML scalar: bare where nothing can be mistaken, else quoted as JSON, which YAML reads alike.
    private static func scalar(_ text: String) -> String {
        let isBare =
            text.utf8.allSatisfy { isWordByte($0) || $0 == UInt8(ascii: "/") }
            && text.utf8.first.map { $0 | 0x20 >= UInt8(ascii: "a") && $0 | 0x20 <= UInt8(ascii: "z") } == true
        // Words that YAML takes for truth values or nothing; `no` is also a language.
        let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
        guard isBare, !words.contains(text.lowercased()) else {
            return JSONValue(text).text(JSONWritingOptions(escapesNonASCII: true))
        }
        return text
    }

    /// A number as YAML reads it; what is not finite has names of its own there.
    private static func number(_ value: Double) -> String {
        if value.isNaN { return ".nan" }
        if value.isInfinite { return value < 0 ? "-.inf" : ".inf" }
        // YAML 1.1 takes a number with an exponent and no point for text.
        let text = JSONNumber(value).spelling
        guard let exponent = text.firstIndex(of: "e"), !text[..<exponent].contains(".") else { return text }
        return text[..<exponent] + ".0" + text[exponent...]
    }
}
