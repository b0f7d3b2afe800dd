'use strict';

/* The addon, built next to this folder by meson or by npm. */
module.exports = require('../shmreg.node');
