'use strict';

/**
 * Why something cannot be had, with a code that stays the same. A `catch` node finds both in `msg.error`.
 *
 * It has no stack: that names the files of this package, and nobody can do anything with them.
 */
class Trouble extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
    delete this.stack;
  }

  toString() { return this.message; }
}

module.exports = { Trouble };
