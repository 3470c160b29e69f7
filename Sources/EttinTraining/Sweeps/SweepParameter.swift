package import EttinRecipes
import Foundation
package import Torch

/// A key of a recipe with what its values are taken from.
package struct SweepParameter: Hashable, Sendable {
    /// The dotted name of the key.
    package let key: String
    /// What its values are taken from.
    package let distribution: SweepDistribution

    /// The generator of the parameter's draws: a sequence of its own under the sweep's seed, so that a parameter more or
    /// less leaves the draws of the others as they are.
    package func generator(seed: UInt64) -> Philox {
        // FNV-1a of the key.
        let stream = key.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        return Philox(seed: seed, stream: stream)
    }

    /// Reads the parameters of a sweep file, those of nested `parameters` under their dotted names.
    ///
    /// - Parameters:
    ///   - top: The mapping that has the key `parameters`.
    ///   - schema: The document, for messages.
    /// - Returns: The parameters in the order of the file; none where the key is not there.
    /// - Throws: `RecipeError` naming the key of whatever is unknown or impossible.
    package static func parameters(of top: RecipeSection, _ schema: RecipeSchema) throws -> [SweepParameter] {
        guard let node = top.node("parameters") else { return [] }
        let path = RecipeSection.joined(top.path, "parameters")
        return try parameters(node, path: path, prefix: "", name: top.name, schema)
    }

    private static func parameters(
        _ node: YAMLNode,
        path: String,
        prefix: String,
        name: String,
        _ schema: RecipeSchema
    ) throws -> [SweepParameter] {
        guard case .mapping(let members) = node.content else {
            throw RecipeError(
                .malformed,
                RecipeSection.place(name, node.line, path),
                found: "is \(node.shownText)",
                expected: "a mapping of the recipe's keys to values or distributions"
            )
        }
        return try members.flatMap { key, value -> [SweepParameter] in
            let path = RecipeSection.joined(path, key)
            let section = try RecipeSection(value, path: path, name: name, schema: keys, of: schema)
            let key = RecipeSection.joined(prefix, key)
            guard let nested = section.node("parameters") else {
                return [SweepParameter(key: key, distribution: try ParameterReader(section).distribution)]
            }
            if let other = section.keys.first(where: { $0 != "parameters" }) {
                throw section.problem(other, "stands beside parameters", "one of the two")
            }
            return try parameters(nested, path: "\(path).parameters", prefix: key, name: name, schema)
        }
    }

    static let keys = [
        "value", "values", "probabilities", "distribution", "min", "max", "q", "mu", "sigma", "parameters",
    ]
}

/// Reads one parameter of a sweep file.
private struct ParameterReader {
    /// Beyond it not every whole number is a number of floating point.
    private static let largestInteger = 1 << 53
    private static let expectedNumber = "a number of magnitude at most 1e300"

    let section: RecipeSection

    init(_ section: RecipeSection) { self.section = section }

    var distribution: SweepDistribution {
        get throws {
            let name = try name
            let needed = keys(of: name)
            for key in section.keys where key != "distribution" && !needed.contains(key) {
                throw section.problem(
                    key,
                    "has no effect with distribution \(name.rawValue)",
                    "only \(needed.joined(separator: ", "))"
                )
            }
            var step: Double?
            if name.rawValue.hasPrefix("q_") { step = try number("q", above: 0) ?? 1 }
            return SweepDistribution(name: name, shape: try shape(name), step: step)
        }
    }

    /// The name that is given, or else the one that the other keys stand for.
    private var name: SweepDistribution.Name {
        get throws {
            if let name = try section.choice("distribution", SweepDistribution.Name.self) { return name }
            if section.has("values") { return .categorical }
            if section.has("value") { return .constant }
            if section.has("mu") || section.has("sigma") { return .normal }
            guard section.has("min") || section.has("max") else {
                throw section.missing("values", "a list of values, one value, or min and max")
            }
            let areWhole = ["min", "max"].allSatisfy { key in
                guard case .scalar(let text, true)? = section.node(key)?.content else { return false }
                return RecipeSection.integer(text) != nil
            }
            return areWhole ? .intUniform : .uniform
        }
    }

    private func keys(of name: SweepDistribution.Name) -> [String] {
        switch name {
        case .constant: ["value"]
        case .categorical: ["values", "probabilities"]
        case .intUniform, .uniform, .logUniform, .logUniformValues: ["min", "max"]
        case .qUniform, .qLogUniform, .qLogUniformValues: ["min", "max", "q"]
        case .normal, .logNormal: ["mu", "sigma"]
        case .qNormal, .qLogNormal: ["mu", "sigma", "q"]
        }
    }

    private func shape(_ name: SweepDistribution.Name) throws -> SweepDistribution.Shape {
        switch name {
        case .constant:
            guard let value = section.node("value") else { throw section.missing("value", "a value") }
            return .choice([value.overrideText], probabilities: [1])
        case .categorical: return try choice()
        case .intUniform:
            let range = -Self.largestInteger...Self.largestInteger
            let low = try section.require("min", try section.int("min", in: range), "a whole number")
            let high = try section.require("max", try section.int("max", in: low...range.upperBound), "a whole number")
            return .integers(low...high)
        case .uniform, .qUniform:
            let (low, high) = try bounds { abs($0) <= 1e300 }
            return .uniform(low, high)
        case .logUniform, .qLogUniform:
            let expected = "a natural logarithm, -700 to 700; the values themselves are given to log_uniform_values"
            let (low, high) = try bounds(expected) { abs($0) <= 700 }
            return .logUniform(low, high)
        case .logUniformValues, .qLogUniformValues:
            let (low, high) = try bounds("a number above 0") { $0 > 0 && $0 <= 1e300 }
            return .logUniform(log(low), log(high))
        case .normal, .qNormal:
            return .normal(mean: try number("mu") ?? 0, deviation: try number("sigma", above: 0) ?? 1)
        case .logNormal, .qLogNormal:
            let mean = try section.double("mu", "a natural logarithm, -300 to 300") { abs($0) <= 300 } ?? 0
            let deviation = try section.double("sigma", "a number above 0, at most 30") { $0 > 0 && $0 <= 30 } ?? 1
            return .logNormal(mean: mean, deviation: deviation)
        }
    }

    private func number(_ key: String, above limit: Double? = nil) throws -> Double? {
        let expected = limit.map { "a number above \(Int($0)), at most 1e300" } ?? Self.expectedNumber
        return try section.double(key, expected) { number in
            abs(number) <= 1e300 && limit.map { number > $0 } ?? true
        }
    }

    private func bounds(
        _ expected: String = expectedNumber,
        where isAllowed: (Double) -> Bool
    ) throws -> (Double, Double) {
        let low = try section.require("min", try section.double("min", expected, where: isAllowed), expected)
        let high = try section.require("max", try section.double("max", expected, where: isAllowed), expected)
        guard low <= high else { throw section.problem("max", "is below min", "a number from min up") }
        return (low, high)
    }

    private func choice() throws -> SweepDistribution.Shape {
        guard let node = section.node("values") else { throw section.missing("values", "a list of values") }
        guard case .list(let items) = node.content, !items.isEmpty else {
            throw section.problem("values", "is \(node.shownText)", "a list of at least one value")
        }
        let values = items.map(\.overrideText)
        for (place, value) in values.enumerated() where values[..<place].contains(value) {
            throw section.problem("values", "has \(value) twice", "each value once")
        }
        let even = [Double](repeating: 1 / Double(values.count), count: values.count)
        guard let probabilities = try section.doubles("probabilities", count: values.count) else {
            return .choice(values, probabilities: even)
        }
        guard probabilities.allSatisfy({ 0...1 ~= $0 }), abs(probabilities.reduce(0, +) - 1) < 1e-6 else {
            throw section.problem("probabilities", "do not add up to 1", "numbers from 0 to 1 with that sum")
        }
        return .choice(values, probabilities: probabilities)
    }
}
