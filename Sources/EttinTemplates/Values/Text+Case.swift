// Upper and lower case, and what kinds of characters there are.

extension Text {
    /// The result of a method that changes case; nil for another method.
    func recased(_ method: String) -> Text? {
        switch method {
        case "upper": uppercased
        case "lower": lowercased
        case "casefold": Text(scalars.map { Self.folded($0) }.joined())
        case "capitalize": capitalized
        case "title": titled
        case "swapcase": swapped
        default: nil
        }
    }

    /// Lower case of upper case of lower case is what case folding gives but for these.
    private static func folded(_ scalar: Unicode.Scalar) -> String {
        switch scalar.value {
        // The dotless i, and Cherokee, which is folded to upper case.
        case 0x131, 0x13A0...0x13F5: String(scalar)
        case 0x13F8...0x13FD, 0xAB70...0xABBF: scalar.properties.uppercaseMapping
        default:
            scalar.properties.lowercaseMapping.unicodeScalars.map(\.properties.uppercaseMapping).joined()
                .unicodeScalars.map(\.properties.lowercaseMapping).joined()
        }
    }

    private var swapped: Text {
        let scalars = Array(scalars)
        return Text(
            scalars.indices.map { index -> String in
                let properties = scalars[index].properties
                if properties.isLowercase { return properties.uppercaseMapping }
                return properties.isUppercase ? Self.lowercase(scalars, index) : String(scalars[index])
            }.joined()
        )
    }

    /// The lower case of a character, which for a sigma depends on whether it ends a word.
    private static func lowercase(_ scalars: [Unicode.Scalar], _ index: Int) -> String {
        guard scalars[index] == "Σ" else { return scalars[index].properties.lowercaseMapping }
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let behind = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased == true && behind?.properties.isCased != true ? "ς" : "σ"
    }

    var uppercased: Text {
        guard !isASCII else {
            return Text(bytes: bytes.map { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") ? $0 - 32 : $0 })
        }
        return Text(scalars.map(\.properties.uppercaseMapping).joined())
    }

    var lowercased: Text {
        guard !isASCII else {
            return Text(bytes: bytes.map { $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") ? $0 + 32 : $0 })
        }
        let scalars = Array(scalars)
        var result = ""
        for index in scalars.indices { result += Self.lowercase(scalars, index) }
        return Text(result)
    }

    /// The first character in title case, the others in lower case.
    var capitalized: Text {
        let scalars = Array(scalars)
        guard let first = scalars.first else { return self }
        let rest = scalars.indices.dropFirst().map { Self.lowercase(scalars, $0) }.joined()
        return Text(first.properties.titlecaseMapping + rest)
    }

    /// `title`: the first letter of every run of letters.
    var titled: Text {
        var result = ""
        var isInside = false
        let scalars = Array(scalars)
        for (index, scalar) in scalars.enumerated() {
            let properties = scalar.properties
            result += isInside ? Self.lowercase(scalars, index) : properties.titlecaseMapping
            isInside = properties.isCased
        }
        return Text(result)
    }

    /// The answer of a method that asks for the kind of characters; nil for another method.
    func passes(_ method: String) -> Bool? {
        func all(_ test: (Unicode.Scalar) -> Bool) -> Bool { !isEmpty && scalars.allSatisfy(test) }
        return switch method {
        case "isascii": isASCII
        case "isspace": all(\.isPythonSpace)
        case "isalpha": all(\.isLetter)
        case "isdigit": all { $0.properties.numericType == .decimal || $0.properties.numericType == .digit }
        case "isdecimal": all { $0.properties.numericType == .decimal }
        case "isnumeric": all { $0.properties.numericType != nil }
        case "isalnum": all { $0.isLetter || $0.properties.numericType != nil }
        case "isprintable": scalars.allSatisfy(\.isPythonPrintable)
        case "islower": isCased(in: \.isLowercase, not: \.isUppercase)
        case "isupper": isCased(in: \.isUppercase, not: \.isLowercase)
        case "istitle": isTitled
        default: nil
        }
    }

    private func isCased(
        in wanted: KeyPath<Unicode.Scalar.Properties, Bool>,
        not other: KeyPath<Unicode.Scalar.Properties, Bool>
    ) -> Bool {
        var isFound = false
        for scalar in scalars {
            let properties = scalar.properties
            if properties[keyPath: other] || properties.generalCategory == .titlecaseLetter { return false }
            if properties[keyPath: wanted] { isFound = true }
        }
        return isFound
    }

    private var isTitled: Bool {
        var (isFound, isInside) = (false, false)
        for scalar in scalars {
            let properties = scalar.properties
            if properties.isUppercase || properties.generalCategory == .titlecaseLetter {
                if isInside { return false }
                (isFound, isInside) = (true, true)
            } else if properties.isLowercase {
                if !isInside { return false }
                isFound = true
            } else {
                isInside = false
            }
        }
        return isFound
    }
}

extension Unicode.Scalar {
    /// A letter as Python's `str.isalpha` has it.
    var isLetter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }

    /// Whether the character belongs to a word of a regular expression.
    var isWordCharacter: Bool { self == "_" || isLetter || properties.numericType != nil }
}
